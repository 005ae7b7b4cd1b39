"""The client against a real service."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from typing import Any

import hourlog
import pytest

NOON = datetime(2018, 2, 4, 12, tzinfo=timezone.utc)
_numbers = itertools.count()


def run(url: str, test: Callable[[hourlog.Client, str], Awaitable[None]]) -> None:
    """Runs a test with a client, and the id of a log of its own."""

    async def whole() -> None:
        async with await hourlog.connect(url) as client:
            begun = asyncio.get_running_loop().time()
            while True:
                try:
                    async for _ in client.logs():
                        break
                    break
                except hourlog.Unavailable:
                    # It is starting.
                    assert asyncio.get_running_loop().time() - begun < 60
                    await asyncio.sleep(0.1)
            await asyncio.wait_for(test(client, f"test.n{next(_numbers)}"), 60)

    asyncio.run(whole())


async def data(events: Any) -> list[bytes]:
    return [event.data async for event in events]


def test_what_is_appended_and_published_is_replayed(url: str) -> None:
    async def test(client: hourlog.Client, log: str) -> None:
        position = await client.append(log, b'{"id":7}', {"kind": "paid"}, time=NOON)
        assert position.offset == int(NOON.timestamp()) * 1_000_000_000
        await client.publish(log, "later", time="2018-02-04T13:00:00.000000001Z")
        await client.append(log, b"\xff\x00")
        first, second, third = [event async for event in client.replay(log, fresh=True)]
        assert (first.log, first.position, first.data, first.metadata) == (log, position, b'{"id":7}', {"kind": ["paid"]})
        assert (first.time, second.data, second.offset % 1_000_000_000) == (NOON, b"later", 1)
        assert (third.data, third.arrived) == (b"\xff\x00", None)
        assert hourlog.Position.parse(str(position)) == position

        request = {"from": NOON, "to": "2018-02-04T12:30:00Z"}
        assert await data(client.replay(log, **request)) == [b'{"id":7}']
        assert await data(client.replay(log, from_="2018-02-04T12:30:00Z", limit=1)) == [b"later"]
        assert await data(client.replay(log, reverse=True, limit=1)) == [b"\xff\x00"]
        assert await data(client.replay(log, where='metadata.kind == "paid"')) == [b'{"id":7}']

    run(url, test)


def test_pages_follow_each_other_without_a_gap(url: str) -> None:
    async def test(client: hourlog.Client, log: str) -> None:
        for number in range(2_300):
            await client.connection.publish(f"log.{log}", str(number).encode())
        await client.append(log, b"2300")
        expected = [str(number).encode() for number in range(2_301)]
        assert await data(client.replay(log)) == expected
        assert await data(client.replay(log, limit=1_500)) == expected[:1_500]
        assert await data(client.replay(log, reverse=True, to="end")) == expected[::-1]
        assert await data(client.merge(log.split(".")[0], pattern=log)) == expected

    run(url, test)


def test_a_follower_gets_every_event_once_and_goes_on_from_its_cursor(url: str) -> None:
    async def test(client: hourlog.Client, log: str) -> None:
        await client.append(log, b"a")
        found: list[bytes] = []
        async for page in client.follow(log):
            found += [event.data for event in page.events]
            if page.next is not None:
                await client.set_cursor(log, "reader", page.next)
            if len(found) == 1 and page.is_last:
                # Late, and yet an arrival.
                await client.append(log, b"b", time=NOON)
            if len(found) == 2:
                break
        assert found == [b"a", b"b"]
        await client.append(log, b"c")
        async for page in client.follow(log, after=await client.cursor(log, "reader")):
            assert [event.data for event in page.events] == [b"c"]
            break
        assert list(await client.cursors(log)) == ["reader"]
        assert await client.delete_cursor(log, "reader") and await client.cursor(log, "reader") is None

    run(url, test)


def test_several_logs_are_read_and_counted_together(url: str) -> None:
    async def test(client: hourlog.Client, log: str) -> None:
        for number in range(6):
            await client.append(f"{log}.l{number % 3}", f'{{"n":{number}}}', time=NOON.replace(second=number))
        assert await data(client.merge(log)) == [f'{{"n":{number}}}'.encode() for number in range(6)]
        assert await data(client.merge(log, where="json.n > 3", reverse=True)) == [b'{"n":5}', b'{"n":4}']
        counted = await client.timelines(log, bins=1, by="log")
        assert (counted["count"], [group["count"] for group in counted["groups"]]) == (6, [2, 2, 2])
        assert (await client.timeline(f"{log}.l0", bins=1))["count"] == 2
        assert [listed["log"] async for listed in client.logs(f"{log}.*")] == [f"{log}.l{number}" for number in range(3)]
        assert (await client.describe(f"{log}.l1"))["events"] == 2

    run(url, test)


def test_a_handle_reads_seeks_writes_and_closes(url: str) -> None:
    async def test(client: hourlog.Client, log: str) -> None:
        handle = client.log(log)
        for second in (1, 3, 5):
            await handle.write(str(second), time=NOON.replace(second=second))
        assert handle.id == log
        first = await handle.read()
        assert first is not None and first.data == b"1"
        # Behind what was read, and before what was read ahead.
        await handle.write("2", time=NOON.replace(second=2))
        rest = [await handle.read() for _ in range(4)]
        assert [event.data if event else None for event in rest] == [b"2", b"3", b"5", None]
        await handle.write("6", time=NOON.replace(second=6))
        assert (await handle.read()).data == b"6"  # type: ignore[union-attr]

        assert (await handle.seek(NOON.replace(second=3))).reason == "exact"
        assert (await handle.read()).data == b"3"  # type: ignore[union-attr]
        assert (await handle.seek(NOON)).reason == "before_first"
        assert (await handle.seek("2019-01-01T00:00:00Z")) == hourlog.Seeked(None, "after_last")
        assert await handle.read() is None
        await handle.close()
        with pytest.raises(hourlog.Closed):
            await handle.read()

    run(url, test)


def test_errors_have_a_class_for_each_code(url: str) -> None:
    async def test(client: hourlog.Client, log: str) -> None:
        with pytest.raises(hourlog.NotFound):
            await client.describe(log)
        with pytest.raises(hourlog.Invalid, match="unknown field"):
            await client.page(log, nosuch=1)
        with pytest.raises(hourlog.Invalid, match="did you mean json"):
            await data(client.replay(log, where="jsn.n == 1"))
        with pytest.raises(hourlog.Rejected) as rejected:
            await client.append(log, b"x", time="2200-01-01T00:00:00Z")
        assert rejected.value.sent == "yes"
        with pytest.raises(hourlog.Unavailable, match="nobody answers"):
            await hourlog.Client(client.connection, prefix="elsewhere").describe(log)
        with pytest.raises(ValueError, match="zone"):
            await client.append(log, b"x", time=datetime(2018, 2, 4))
        twice = [await client.append(log, b"x", message_id=f"{log}-1") for _ in range(2)]
        assert twice[0] == twice[1]

    run(url, test)


def test_an_event_and_what_is_around_it(url: str) -> None:
    async def test(client: hourlog.Client, log: str) -> None:
        first = await client.append(log, "a", time=NOON)
        second = await client.append(log, "b", time="2018-02-04T14:00:00Z")
        assert (await client.event(log, first)).data == b"a"
        with pytest.raises(hourlog.NotFound):
            await client.event(log, hourlog.Position(first.offset, second.seq))
        near = await client.near(log, "2018-02-04T13:30:00Z")
        assert (near["before"]["data"], near["after"]["data"]) == ("a", "b")
        assert (near["previous_bucket"]["count"], near["next_bucket"]["from"]) == (1, "2018-02-04T14:00:00Z")
        newest = await client.newest(log, limit=5)
        assert [event["data"] for event in newest[0]["events"]] == ["b", "a"]
        with pytest.raises(hourlog.Invalid):
            await client.newest(log, logs=["elsewhere"])

    run(url, test)
