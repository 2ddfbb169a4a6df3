"""Escaping, numbers, times and hashes as the page shows them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from html import escape

_HEX = re.compile(r"(0x)?[0-9a-fA-F]{24,}")


def element(name: str, content: str = "", **attributes: object) -> str:
    """An element around content that is already markup; attribute values are escaped here. `class_` gives `class`."""
    pairs = "".join(f' {k.rstrip("_").replace("_", "-")}="{escape(str(v))}"' for k, v in attributes.items())
    return f"<{name}{pairs}>{content}</{name}>"


def is_hash(value: str) -> bool:
    return _HEX.fullmatch(value) is not None


def short(value: str, head: int = 10, tail: int = 8) -> str:
    """Long hex with its middle left out."""
    if not is_hash(value) or len(value) <= head + tail + 1:
        return value
    return f"{value[:head]}…{value[-tail:]}"


def shown(value: str) -> str:
    """A value as markup: hashes shortened, the whole of them in the title."""
    if is_hash(value):
        return element("code", escape(short(value)), class_="hash", title=value)
    return escape(value)


def grouped(number: int) -> str:
    return f"{number:,}".replace("-", "−")


def seconds(ms: int) -> str:
    return f"{ms} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


def clock(time_ms: int, utc_offset_minutes: int = 0) -> datetime:
    """Wall-clock time at an offset, naive."""
    return (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=time_ms, minutes=utc_offset_minutes)).replace(
        tzinfo=None
    )


def minute(time_ms: int, utc_offset_minutes: int = 0) -> str:
    return f"{clock(time_ms, utc_offset_minutes):%Y-%m-%d %H:%M}"


def offset_name(minutes: int) -> str:
    if minutes == 0:
        return "UTC"
    sign = "−" if minutes < 0 else "+"
    return f"UTC{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def columns(text: str) -> int:
    """Width in half-width columns: CJK characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, broken at spaces, and inside words that are longer than a line."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if columns(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        line = ""
        for character in word:
            if columns(line + character) > width:
                lines.append(line)
                line = ""
            line += character
    if line:
        lines.append(line)
    return lines


def table(head: Iterable[str], rows: Iterable[Iterable[str]], *, caption: str = "", numeric: Iterable[int] = ()) -> str:
    """A table of markup cells. `numeric` names the columns to be set flush right."""
    right = frozenset(numeric)

    def cells(tag: str, row: Iterable[str], scope: str = "") -> str:
        kind = {"scope": scope} if scope else {}
        return "".join(element(tag, c, **({"class_": "n"} if i in right else {}), **kind) for i, c in enumerate(row))

    body = "".join(element("tr", cells("td", row)) for row in rows)
    title = element("caption", escape(caption)) if caption else ""
    top = element("thead", element("tr", cells("th", head, "col")))
    return element("div", element("table", title + top + element("tbody", body)), class_="scroll", tabindex=0)
