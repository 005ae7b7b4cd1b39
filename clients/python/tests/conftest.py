"""A real nats-server and a real hourlogd for each test run."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


def _program(variable: str) -> str:
    path = os.environ.get(variable)
    if not path or not Path(path).exists():
        pytest.exit(f"{variable} names no program; run the tests with `cargo xtask clients`", returncode=1)
    return path


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def command_line() -> str:
    """The path of the command line."""
    return _program("HOURLOG")


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """The address of a nats-server on which a service with an empty archive answers."""
    nats_server, hourlogd, port = _program("HOURLOG_NATS_SERVER"), _program("HOURLOGD"), _free_port()
    url = f"nats://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        nats = subprocess.Popen([nats_server, "-js", "-sd", work / "js", "-a", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL)
        _until_open(port)
        output = (work / "hourlogd.log").open("w+")
        service = subprocess.Popen([hourlogd, "--nats", url, "--store", f"file:{work / 'archive'}"], stdout=output, stderr=output)
        try:
            yield url
        finally:
            for process in (service, nats):
                process.terminate()
                process.wait(timeout=30)


def _until_open(port: int) -> None:
    begun = time.monotonic()
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() - begun > 30:
                raise
            time.sleep(0.05)
