"""Client of Hourlog: write to, replay and follow logs over NATS.

    import asyncio, hourlog

    async def main():
        async with await hourlog.connect("nats://127.0.0.1:4222") as client:
            await client.append("orders.eu", b'{"id":7}', {"kind": "paid"})
            async for event in client.replay("orders.eu", **{"from": "-1h"}):
                print(event.time, event.data)

    asyncio.run(main())

Requests, replies and times are those of the protocol page of Hourlog; this package adds names and types, and no rules.
"""

from .client import Client, connect
from .errors import (
    Deadline,
    HourlogError,
    Invalid,
    NotAllowed,
    NotFound,
    Refused,
    Rejected,
    TooLarge,
    Unavailable,
    Unexpected,
)
from .log import Closed, Log, Seeked
from .model import Event, Page, Position

__all__ = [
    "Client",
    "Closed",
    "Deadline",
    "Event",
    "HourlogError",
    "Invalid",
    "Log",
    "NotAllowed",
    "NotFound",
    "Page",
    "Position",
    "Refused",
    "Rejected",
    "Seeked",
    "TooLarge",
    "Unavailable",
    "Unexpected",
    "connect",
]
