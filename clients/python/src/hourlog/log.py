"""A log as an object: close, id, read, seek and write."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .errors import HourlogError
from .model import Event, Position, time_text

if TYPE_CHECKING:
    from .client import Client, Metadata


class Closed(HourlogError):
    """The handle was closed."""


@dataclass(frozen=True)
class Seeked:
    """Where a seek has arrived: the next event, and how it relates to the time that was asked for.

    ``reason`` is ``exact``, ``next``, ``before_first``, ``after_last`` or ``expired``.
    """

    resolved: Position | None
    reason: str


class Log:
    """A handle to a log, with a place of its own. It begins at the first event."""

    def __init__(self, client: Client, log: str) -> None:
        self.id = log
        self._client = client
        #: What the next page is asked with: the place behind the last event that was returned.
        self._place: dict[str, Any] = {}
        self._ahead: list[Event] = []
        self._is_closed = False

    async def read(self) -> Event | None:
        """Returns the next event, or ``None`` at the end. Later events are read by the next call."""
        self._check()
        if not self._ahead:
            page = await self._client.page(self.id, **self._place)
            self._ahead = page.events[::-1]
        if not self._ahead:
            return None
        event = self._ahead.pop()
        self._place = {"after": str(event.position)}
        return event

    async def seek(self, time: datetime | int | str) -> Seeked:
        """Goes to the first event at or after a time."""
        self._check()
        start = {"from": time_text(time)}
        page = await self._client.page(self.id, limit=1, seek=True, **start)
        self._ahead, self._place = [], start
        resolved = page.rest.get("resolved")
        return Seeked(Position.parse(resolved) if resolved else None, page.rest["reason"])

    async def write(
        self, data: bytes | str, metadata: Metadata | None = None, *, time: datetime | int | str | None = None
    ) -> Position:
        """Writes a record, and returns its position once the archive has it."""
        self._check()
        # The record may lie before what was read ahead.
        self._ahead = []
        return await self._client.append(self.id, data, metadata, time=time)

    async def close(self) -> None:
        """Closes the handle; the connection stays open."""
        self._check()
        self._ahead, self._is_closed = [], True

    def _check(self) -> None:
        if self._is_closed:
            raise Closed(f"the handle to {self.id} is closed; open another")
