"""Structured logs on standard error: one line per event, as JSON for machines or as text for people.

Only the message and the fields given with `extra=` are written, so what is logged is what somebody chose to log.
Values of records, keys and tokens are never passed to a logger; as a second lock, fields whose name says secret are
withheld.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from typing import Any, Literal, TextIO

Format = Literal["json", "text"]

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SECRET_WORDS = ("passphrase", "password", "secret", "private", "token", "seed", "pseudonym_key")
WITHHELD = "[withheld]"


def configure(level: str = "INFO", form: Format = "text", stream: TextIO | None = None) -> None:
    """Send the whole process's logs to `stream` (standard error)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What was given with `extra=`, secrets withheld."""
    return {
        key: WITHHELD if any(word in key.lower() for word in _SECRET_WORDS) else _plain(value)
        for key, value in vars(record).items()
        if key not in _STANDARD
    }


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
        } | fields(record)
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """Time, level, message, then key=value."""

    def format(self, record: logging.LogRecord) -> str:
        extra = " ".join(f"{key}={value}" for key, value in fields(record).items())
        message = " ".join(record.getMessage().splitlines())
        line = f"{_time(record)} {record.levelname:<7} {message}" + (f"  {extra}" if extra else "")
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _time(record: logging.LogRecord) -> str:
    moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: object) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return value if isinstance(value, str | int | bool) or value is None else str(value)
