"""The tables of `hourlog export` open in DuckDB."""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
import hourlog
from test_client import NOON, run

COLUMNS = "time,log,position,seq,size,metadata.kind,json.mag,json.n,json.ok,json.place,json.id,data,bytes"


def test_a_table_has_the_same_rows_in_every_format(url: str, command_line: str, tmp_path: Path) -> None:
    async def test(client: hourlog.Client, log: str) -> None:
        for number in range(300):
            data = (
                f'{{"mag":{number / 100},"n":{number},"ok":{str(number % 2 == 0).lower()},"place":"M\\u00fcnchen, \\"{number}\\"",'
                f'"id":{23958446825181076828 + number}}}'
            )
            await client.publish(log, data, {"kind": "paid"}, time=NOON + timedelta(seconds=number))
        await client.append(log, b"\xff\x00", time=NOON + timedelta(hours=1))

        def export(format: str) -> str:
            path = tmp_path / f"{log}.{format}"
            arguments = ["export", log, "--format", format, "--columns", COLUMNS, "-O", str(path)]
            done = subprocess.run([command_line, "-s", url, *arguments], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            assert "exported 301 events from 1 log" in done.stderr
            return str(path)

        sql = duckdb.connect()
        sql.execute("set timezone = 'UTC'")
        parquet = export("parquet")
        types = dict(sql.execute(f"select column_name, column_type from (describe select * from '{parquet}')").fetchall())
        assert types["time"].startswith("TIMESTAMP") and types["seq"] == "BIGINT" and types["bytes"] == "BLOB"
        assert [types[f"json.{name}"] for name in ("mag", "n", "ok", "place", "id")] == [
            "DOUBLE", "BIGINT", "BOOLEAN", "VARCHAR", "VARCHAR",
        ]
        for path in (parquet, export("csv"), export("jsonl")):
            count, total, trues, first, last = sql.execute(
                f"""select count(*), sum("json.n"::bigint), count(*) filter ("json.ok"::boolean), min("time"), max("time")
                    from '{path}'"""
            ).fetchone()
            assert (count, total, trues) == (301, 299 * 300 // 2, 150), path
            assert (utc(first), utc(last)) == (NOON, NOON + timedelta(hours=1)), path
            place, mag, id = sql.execute(
                f"""select "json.place", "json.mag"::double, "json.id"::varchar from '{path}' where "json.n"::bigint = 7"""
            ).fetchone()
            assert (place, mag) == ('München, "7"', 0.07), path
            # A number that no type holds keeps its digits, where the reader does not round them.
            assert path.endswith("jsonl") or id == "23958446825181076835", path
        binary, text = sql.execute(f"""select bytes, data from '{parquet}' where "json.n" is null""").fetchone()
        assert (binary, text) == (b"\xff\x00", None)

    run(url, test)


def test_values_of_another_type_are_counted_and_the_exit_code_says_so(url: str, command_line: str, tmp_path: Path) -> None:
    async def test(client: hourlog.Client, log: str) -> None:
        for value in ("1", "2", '"three"', "null"):
            await client.append(log, f'{{"n":{value}}}')

        def export(column: str, path: Path) -> subprocess.CompletedProcess[str]:
            arguments = ["export", log, "--format", "parquet", "--columns", column, "-O", str(path)]
            return subprocess.run([command_line, "-s", url, *arguments], capture_output=True, text=True)

        done = export("json.n:int", tmp_path / "ints.parquet")
        assert done.returncode == 8 and "1 value of json.n, which are not whole numbers, were left empty" in done.stderr, done.stderr
        assert duckdb.sql(f"select \"json.n\" from '{tmp_path}/ints.parquet'").fetchall() == [(1,), (2,), (None,), (None,)]
        done = export("json.n", tmp_path / "texts.parquet")
        assert done.returncode == 0, done.stderr
        assert duckdb.sql(f"select \"json.n\" from '{tmp_path}/texts.parquet'").fetchall() == [("1",), ("2",), ("three",), (None,)]

    run(url, test)


def utc(time: datetime) -> datetime:
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)
