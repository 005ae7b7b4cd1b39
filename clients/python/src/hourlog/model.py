"""Events and pages, as the service sends them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, order=True)
class Position:
    """The place of an event in its log: its time in nanoseconds since 1970, and its place in arrival order."""

    offset: int
    seq: int

    @classmethod
    def parse(cls, text: str) -> Position:
        """Reads ``1517781402123000000-1099511627778``."""
        offset, _, seq = text.rpartition("-")
        return cls(int(offset), int(seq))

    def __str__(self) -> str:
        return f"{self.offset}-{self.seq}"


@dataclass(frozen=True)
class Event:
    """A record with its log and its position.

    ``metadata`` has a list of values for each name. ``arrived`` is the arrival time of a late event, as a text.
    """

    log: str
    position: Position
    data: bytes
    metadata: dict[str, list[str]]
    arrived: str | None = None

    @property
    def offset(self) -> int:
        """The event's time in nanoseconds since 1970."""
        return self.position.offset

    @property
    def time(self) -> datetime:
        """The event's time in UTC, to the microsecond."""
        return _EPOCH + timedelta(microseconds=self.position.offset // 1000)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Event:
        """Reads an event of a page."""
        if "data_base64" in fields:
            data = base64.b64decode(fields["data_base64"])
        else:
            data = fields.get("data", "").encode()
        return cls(
            log=fields["log"],
            position=Position.parse(fields["position"]),
            data=data,
            metadata=fields.get("metadata", {}),
            arrived=fields.get("arrived"),
        )


@dataclass(frozen=True)
class Page:
    """One page: its events, what to send as ``after`` for the next one, and why it ended.

    ``rest`` has the other fields of the reply, such as ``expired``, ``moved``, ``ahead`` and ``scanned``.
    """

    events: list[Event]
    next: str | None
    end: str
    rest: dict[str, Any]

    @property
    def is_last(self) -> bool:
        """True if a request for the next page would find nothing now."""
        return self.end in ("bound", "caught_up", "expired")

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Page:
        """Reads a page."""
        events = [Event.from_json(event) for event in fields.pop("events")]
        return cls(events=events, next=fields.pop("next", None), end=fields.pop("end"), rest=fields)


def time_text(time: datetime | int | str) -> str:
    """Returns a time as a request has it: of a datetime with a zone, of nanoseconds since 1970, or a text as it is."""
    if isinstance(time, str):
        return time
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise ValueError("a datetime needs a zone, such as timezone.utc")
        time = (time - _EPOCH) // timedelta(microseconds=1) * 1000
    sign = "-" if time < 0 else ""
    seconds, nanos = divmod(abs(time), 1_000_000_000)
    return f"@{sign}{seconds}.{nanos:09}"
