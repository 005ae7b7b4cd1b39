"""The errors of the service, one class for each code."""

from __future__ import annotations


class HourlogError(Exception):
    """An error of the service, with the sentence that says what to do.

    ``sent`` tells what has become of the record of an append: ``"no"``, ``"yes"`` or ``"unknown"``; ``None`` for any
    other request.
    """

    code = 500

    def __init__(self, message: str, sent: str | None = None) -> None:
        super().__init__(message)
        self.sent = sent


class Invalid(HourlogError):
    """An id, a time, a cursor or a field is wrong."""

    code = 400


class NotAllowed(HourlogError):
    """The login may not do that."""

    code = 403


class NotFound(HourlogError):
    """No such log, or no such position in it."""

    code = 404


class TooLarge(HourlogError):
    """Above a limit of size, which the message names."""

    code = 413


class Rejected(HourlogError):
    """The event was rejected because of its content."""

    code = 422


class Refused(HourlogError):
    """Refused by a limit or a setting, which the message names."""

    code = 429


class Unavailable(HourlogError):
    """The service, its archive or NATS cannot be reached. Try again."""

    code = 503


class Deadline(HourlogError):
    """No answer in time. Try again."""

    code = 504


class Unexpected(HourlogError):
    """A defect, or another version of the service."""


_BY_CODE = {
    kind.code: kind
    for kind in (Invalid, NotAllowed, NotFound, TooLarge, Rejected, Refused, Unavailable, Deadline)
}


def error_of(code: str, message: str, sent: str | None) -> HourlogError:
    """Returns the error that the headers of a reply name."""
    kind = _BY_CODE.get(int(code), Unexpected) if code.isdigit() else Unexpected
    return kind(message, sent)
