"""The connection, and a method for each request."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any

import nats
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError, NoRespondersError
from nats.errors import TimeoutError as NatsTimeout

from .errors import Deadline, Refused, Unavailable, Unexpected, error_of
from .log import Log
from .model import Event, Page, Position, time_text

#: Names, each with a value or a list of one.
Metadata = Mapping[str, str | Sequence[str]]
#: A datetime with a zone, nanoseconds since 1970, or a text such as ``-1h``.
Time = datetime | int | str

#: The time for a reply, in seconds.
TIMEOUT = 5.0
#: The time for which the service holds a request at the end of a log, in seconds.
WAIT = 5
#: The pause before a follower asks again after a passing fault, in seconds: the first, and the longest.
PAUSES = (0.05, 2.0)


async def connect(servers: str | list[str] = "nats://127.0.0.1:4222", *, prefix: str = "hourlog", **options: Any) -> Client:
    """Connects to NATS. ``options`` are those of ``nats.connect``: user, password, token, tls and so on."""
    return Client(await nats.connect(servers, **options), prefix=prefix)


class Client:
    """The service, over a connection to NATS."""

    def __init__(self, connection: Nats, *, prefix: str = "hourlog", timeout: float = TIMEOUT) -> None:
        self.connection = connection
        self.prefix = prefix
        self.timeout = timeout

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Sends what is under way, and closes the connection."""
        await self.connection.drain()

    def log(self, log: str) -> Log:
        """Returns a handle to a log, at its first event."""
        return Log(self, log)

    async def publish(
        self, log: str, data: bytes | str, metadata: Metadata | None = None, *, time: Time | None = None
    ) -> None:
        """Publishes an event, and returns once the stream has it. The archive has it a moment later."""
        reply = await self._request(f"log.{log}", _bytes(data), _headers(metadata, time), self.timeout)
        answer = json.loads(reply.data)
        if "error" in answer:
            raise Unavailable(f"the stream does not take the event: {answer['error'].get('description')}", "no")

    async def append(
        self,
        log: str,
        data: bytes | str,
        metadata: Metadata | None = None,
        *,
        time: Time | None = None,
        message_id: str | None = None,
    ) -> Position:
        """Writes an event, and returns its position once the archive has it.

        With a ``message_id``, the same append can be sent again within two minutes, and is stored once.
        """
        headers = _headers(metadata, time)
        if message_id is not None:
            headers["Nats-Msg-Id"] = message_id
        reply = await self._ask(f"append.{log}", _bytes(data), headers, extra=25.0)
        return Position.parse(json.loads(reply)["position"])

    async def page(self, log: str, **request: Any) -> Page:
        """Reads one page of a log. ``request`` has the fields of the protocol; ``from`` is written ``from_`` or given as
        ``**{"from": …}``, and ``where`` as it is."""
        return Page.from_json(await self._json(f"replay.{log}", request))

    async def replay(self, log: str, **request: Any) -> AsyncIterator[Event]:
        """Yields the events of a log, page by page, up to the bound or the end. ``limit`` counts for all pages."""
        async for event in self._pages(f"replay.{log}", request):
            yield event

    async def merge(self, prefix: str | None = None, **request: Any) -> AsyncIterator[Event]:
        """Yields the events of all logs below a prefix, or of all logs, in one timeline."""
        subject = "merge" if prefix is None else f"merge.{prefix}"
        async for event in self._pages(subject, request):
            yield event

    async def follow(self, log: str, after: str | None = None, **request: Any) -> AsyncIterator[Page]:
        """Yields pages in arrival order, after a cursor or from the start, without end: every event once, however late.

        A page may be empty. Store its ``next`` after your work, with ``set_cursor``, to go on there. An outage is waited
        for once the service has answered.
        """
        request = {**request, "order": "arrival"}
        answered, pause = False, PAUSES[0]
        while True:
            asked = {**request, "after": after} if after is not None else request
            try:
                page = await self.page(log, **asked)
            except (Unavailable, Deadline, Refused) as error:
                if self.connection.is_closed or not answered and not isinstance(error, Refused):
                    raise
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSES[1])
                continue
            answered, pause = True, PAUSES[0]
            if page.next is not None:
                after = page.next
                request.pop("from_", None)
                request.pop("from", None)
            if page.is_last:
                request["wait"] = f"{WAIT}s"
            yield page

    async def describe(self, log: str) -> dict[str, Any]:
        """Describes a log."""
        return await self._json(f"describe.{log}", {})

    async def logs(self, pattern: str | None = None, **request: Any) -> AsyncIterator[dict[str, Any]]:
        """Yields the logs that match a pattern, or all."""
        if pattern is not None:
            request["pattern"] = pattern
        while True:
            reply = await self._json("logs", request)
            for log in reply["logs"]:
                yield log
            if "next" not in reply:
                return
            request["after"] = reply["next"]

    async def event(self, log: str, position: Position | str) -> Event:
        """Returns the event at a position."""
        events = (await self.page(log, position=position)).events
        if not events:
            raise Unexpected(f"the reply of {log} holds no event")
        return events[0]

    async def near(self, log: str, at: Time) -> dict[str, Any]:
        """Returns the events, the buckets and the bursts around a moment."""
        return await self._json(f"near.{log}", {"at": time_text(at)})

    async def newest(self, prefix: str | None = None, **request: Any) -> list[dict[str, Any]]:
        """Returns the newest events of many logs below a prefix, or of all logs."""
        reply = await self._json("newest" if prefix is None else f"newest.{prefix}", request)
        logs: list[dict[str, Any]] = reply["logs"]
        return logs

    async def timeline(self, log: str, **request: Any) -> dict[str, Any]:
        """Counts the events of a log by time."""
        return await self._json(f"timeline.{log}", request)

    async def timelines(self, prefix: str | None = None, **request: Any) -> dict[str, Any]:
        """Counts by time the events of all logs below a prefix, or of all logs."""
        return await self._json("timelines" if prefix is None else f"timelines.{prefix}", request)

    async def cursor(self, log: str, name: str) -> str | None:
        """Returns the cursor that a reader has stored under a name."""
        return (await self._json(f"cursor.get.{log}", {"name": name})).get("cursor")

    async def set_cursor(self, log: str, name: str, cursor: str, *, force: bool = False) -> bool:
        """Stores a cursor of a reader. Returns false if a later one is stored, which then stays."""
        request: dict[str, Any] = {"name": name, "cursor": cursor}
        if force:
            request["force"] = True
        return bool((await self._json(f"cursor.set.{log}", request))["stored"])

    async def cursors(self, log: str) -> dict[str, str]:
        """Returns the cursors of the readers of a log, by name."""
        reply = await self._json(f"cursor.list.{log}", {})
        return {cursor["name"]: cursor["cursor"] for cursor in reply["cursors"]}

    async def delete_cursor(self, log: str, name: str) -> bool:
        """Deletes a cursor. Returns false if there was none."""
        return bool((await self._json(f"cursor.delete.{log}", {"name": name}))["deleted"])

    async def _pages(self, subject: str, request: Mapping[str, Any]) -> AsyncIterator[Event]:
        asked = dict(request)
        left = asked.get("limit")
        while left is None or left > 0:
            if left is not None:
                asked["limit"] = left
            page = Page.from_json(await self._json(subject, asked))
            for event in page.events:
                yield event
            if page.is_last or page.next is None:
                return
            if left is not None:
                left -= len(page.events)
            asked["after"] = page.next
            # A word such as last may be another time by now, and the place is past it.
            bounds = ("to",) if asked.get("reverse") else ("from", "from_")
            for done in (*bounds, "seek", "fresh", "wait"):
                asked.pop(done, None)

    async def _json(self, subject: str, request: Mapping[str, Any]) -> dict[str, Any]:
        named = {("from" if name == "from_" else name): value for name, value in request.items()}
        fields = {name: time_text(value) if name in ("from", "to") else _value(value) for name, value in named.items()}
        reply = await self._ask(subject, json.dumps(fields).encode(), {}, extra=_seconds(fields.get("wait")))
        answer: dict[str, Any] = json.loads(reply)
        return answer

    async def _ask(self, subject: str, data: bytes, headers: dict[str, Any], extra: float) -> bytes:
        reply = await self._request(f"{self.prefix}.{subject}", data, headers, self.timeout + extra)
        said = reply.headers or {}
        if "Nats-Service-Error-Code" in said:
            message = said.get("Nats-Service-Error", "the service gave no reason")
            raise error_of(said["Nats-Service-Error-Code"], message, said.get("Hourlog-Sent"))
        return reply.data

    async def _request(self, subject: str, data: bytes, headers: dict[str, Any], timeout: float) -> Msg:
        try:
            return await self.connection.request(subject, data, timeout=timeout, headers=headers or None)
        except NoRespondersError as error:
            raise Unavailable(f"nobody answers {subject}; start hourlogd on this NATS server") from error
        except NatsTimeout as error:
            raise Deadline(f"no answer to {subject} within {timeout:g} s; try again") from error
        except ConnectionClosedError as error:
            raise Unavailable("the connection is closed; open another") from error


def _bytes(data: bytes | str) -> bytes:
    return data.encode() if isinstance(data, str) else data


def _headers(metadata: Metadata | None, time: Time | None) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    for name, value in (metadata or {}).items():
        if not isinstance(value, str):
            if len(value) != 1:
                raise ValueError(f"nats-py sends one value of {name}; put the others into the data")
            value = value[0]
        headers[name] = value
    if time is not None:
        headers["Hourlog-Time"] = time_text(time)
    return headers


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return time_text(value)
    return str(value) if isinstance(value, Position) else value


def _seconds(wait: Any) -> float:
    """Returns the seconds of a wait such as ``30s`` or ``1m30s``."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([0-9.]+)(ms|s|m|h|d)", str(wait or "")))
