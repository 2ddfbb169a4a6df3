"""What all commands share: the terminal, one-line errors, exit codes, JSON, and options in hex."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lianqiao_base.errors import Fatal, LianqiaoError, Rejected, Retryable

REJECTED_EXIT, RETRYABLE_EXIT, INTERNAL_EXIT = 1, 3, 4
PLAIN_WIDTH = 120


def exit_code(error: LianqiaoError) -> int:
    """1 for what will never be accepted, 3 for what may be tried again, 4 for what an operator must look at."""
    if isinstance(error, Retryable):
        return RETRYABLE_EXIT
    return REJECTED_EXIT if isinstance(error, Rejected) else INTERNAL_EXIT


def printable(text: str) -> str:
    """One line without control characters: texts of other machines must not move the cursor or forge a second line."""
    return "".join(c if c.isprintable() else " " for c in text)


def print_error(error: LianqiaoError) -> None:
    """The error on one line of standard error."""
    click.echo(f"error: {printable(str(error))}", err=True)


def console() -> Console:
    """Standard output. Not a terminal: no colours, and lines as long as they are."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=PLAIN_WIDTH, no_color=True, soft_wrap=True)


def live() -> bool:
    """Whether moving displays make sense: a terminal with a person before it."""
    return sys.stdout.isatty() and not os.environ.get("CI")


def print_json(document: Any) -> None:
    """Indented JSON on standard output; bytes as lower-case hex."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=_plain))


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def print_rows(out: Console, title: str, rows: Sequence[tuple[str, str]]) -> None:
    """A titled block of label and value. Values are text, never markup."""
    out.print(Text(title, style="bold"))
    if not out.is_terminal:
        width = max((len(label) for label, _ in rows), default=0)
        for label, value in rows:
            out.print(Text(f"  {printable(label):<{width}}  {printable(value)}"), soft_wrap=True)
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in rows:
        table.add_row(Text("  " + printable(label)), Text(printable(value)))
    out.print(table)


def time_text(time_ms: int) -> str:
    """UTC to the millisecond."""
    return dt.datetime.fromtimestamp(time_ms / 1000, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class HexParam(click.ParamType[bytes]):
    """Bytes in hex, with or without 0x. `size` bytes, or between `least` and `size`."""

    name = "hex"

    def __init__(self, size: int, *, least: int | None = None) -> None:
        self._size = size
        self._least = size if least is None else least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        if isinstance(value, bytes):
            return value
        text = str(value).removeprefix("0x")
        try:
            # `fromhex` would skip spaces.
            data = bytes.fromhex(text) if text.isalnum() else b""
        except ValueError:
            data = b""
        if not self._least <= len(data) <= self._size:
            wanted = f"{self._size}" if self._least == self._size else f"{self._least} to {self._size}"
            self.fail(f"{printable(str(value))[:80]!r} is not {wanted} bytes in hex", param, ctx)
        return data


def read_file(path: Path, what: str) -> bytes:
    """Contents of a file. Raises `Rejected("FILE_UNREADABLE")`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Rejected("FILE_UNREADABLE", f"{what}: {error.strerror}", subject=str(path)) from error


def write_new_file(path: Path, text: str, what: str) -> None:
    """A file that must not exist yet. Raises `Rejected("FILE_EXISTS")`, `Fatal("FILE_UNWRITABLE")`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Rejected(
            "FILE_EXISTS", f"{what} is there already", subject=str(path), hint="choose another path"
        ) from None
    except OSError as error:
        raise Fatal("FILE_UNWRITABLE", f"{what}: {error.strerror}", subject=str(path)) from error


json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
