"""`lianqiao demo`: the whole way once, shown while it happens."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import RenderableType
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from bridge.commands.output import console, live, print_rows, printable
from lianqiao_base import logs
from lianqiao_base.errors import Fatal

if TYPE_CHECKING:
    from bridge.demo.results import DemoSummary
    from bridge.demo.run import Run

Listener = Callable[[str, str], None]
LOG_NAME = "demo.log"


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-output"),
    show_default=True,
    help="Folder for report.html, bundle.json and demo.log.",
)
@click.option(
    "--l2-url",
    default="",
    metavar="URL",
    help="A development node (anvil) to use instead of the EVM in this process, e.g. http://127.0.0.1:8545.",
)
@click.option("--keep", is_flag=True, help="Keep the working folder: both zones' databases, keys and certificates.")
def demo(output: Path, l2_url: str, keep: bool) -> None:
    """Run the whole way once: anchor, prove, clear, mint, audit.

    Starts a ledger with four validators, anchors measured photovoltaic telemetry, lets a few de-identified facts cross
    the border, deploys the contracts, mints two orders, and tries forgeries at every gate. Everything is real but the
    names and the keys; nothing leaves this machine. Needs no node, key or account.

    \b
    Examples:
      lianqiao demo
      lianqiao demo --output /tmp/tour --keep
      lianqiao demo --l2-url http://127.0.0.1:8545      (with `anvil` running)

    Afterwards open report.html in the output folder, then `lianqiao verify` its bundle.json.
    """
    _prepare(output)
    work = Path(tempfile.mkdtemp(prefix="lianqiao-demo-"))
    out = console()
    try:
        with _logging_to(output / LOG_NAME):
            display = _live_display() if live() else _plain_display(out.print)
            with display as listener:
                summary = _run(work, output, l2_url, listener)
    finally:
        if keep:
            out.print(Text(f"Working folder kept: {work}"), soft_wrap=True)
        else:
            shutil.rmtree(work, ignore_errors=True)
    for title, rows in summary.lines:
        out.print()
        print_rows(out, title, rows)
    out.print()
    print_rows(out, "Next", _next(summary, work if keep else None))


def _run(work: Path, output: Path, l2_url: str, listener: Listener) -> DemoSummary:
    listener("begin", "Load the programs")
    from bridge.demo.results import write_outputs
    from bridge.demo.run import run_demo

    listener("end", "Load the programs")
    made: list[DemoSummary] = []

    async def finish(run: Run) -> None:
        listener("begin", "Write the report and the auditor's bundle")
        made.append(await write_outputs(run, output))
        listener("end", "Write the report and the auditor's bundle")

    asyncio.run(run_demo(work, l2_url=l2_url, listener=listener, finish=finish))
    return made[0]


def _next(summary: DemoSummary, work: Path | None) -> list[tuple[str, str]]:
    rows = [
        ("see what happened", f"open {summary.report_path} in a browser"),
        ("audit one mint offline", f"lianqiao verify {summary.bundle_path}"),
        ("be sure that it notices", "change any digit in the bundle and verify it again"),
        ("run a ledger of your own", "lianqiao ledger init my-ledger"),
    ]
    if work is not None:
        store = work / "hongkong" / "delivery.sqlite3"
        rows.append(("follow one order", f"lianqiao trace ORDER_ID --store {store}"))
    return rows


def _prepare(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Fatal(
            "OUTPUT_FOLDER", f"{error.strerror}", subject=str(output), hint="choose another with --output"
        ) from error


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """All logs and library warnings go to a file; the terminal stays for the person."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    with path.open("w", encoding="utf-8") as stream:
        logs.configure("INFO", "text", stream)
        logging.captureWarnings(True)
        try:
            yield
        finally:
            logging.captureWarnings(False)
            root.handlers[:], root.level = before, level


@contextmanager
def _plain_display(say: Callable[[Text], None]) -> Iterator[Listener]:
    """One line at the end of each stage, for files and build logs."""
    begun: dict[str, float] = {}
    last = ""

    def listen(event: str, text: str) -> None:
        nonlocal last
        if event == "begin":
            begun[text] = time.monotonic()
        elif event == "detail":
            last = text
        else:
            seconds = time.monotonic() - begun.pop(text)
            detail, last = f" ({printable(last)})" if last else "", ""
            say(Text(f"{seconds:6.1f} s  {printable(text)}{detail}"))

    try:
        yield listen
    except BaseException:
        for stage in begun:
            say(Text(f"failed in: {printable(stage)}"))
        raise


class _StageTable(Progress):
    """A line per stage, and below them what happens just now."""

    now = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        if self.now:
            yield Text(f"  {self.now}", style="dim", no_wrap=True, overflow="ellipsis")


@contextmanager
def _live_display() -> Iterator[Listener]:
    """Stages with a spinner and the time each takes."""
    columns = (
        SpinnerColumn(finished_text="[green]✓[/green]", table_column=Column(min_width=1)),
        TimeElapsedColumn(table_column=Column(min_width=7)),
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    with _StageTable(*columns, console=console()) as table:
        running: list[TaskID] = []

        def listen(event: str, text: str) -> None:
            if event == "begin":
                running.append(table.add_task(printable(text), total=1))
            elif event == "end":
                table.now = ""
                table.update(running.pop(), completed=1)
            else:
                table.now = printable(text)

        try:
            yield listen
        except BaseException:
            for task in running:
                table.stop_task(task)
                table.update(task, description=f"failed: {table.tasks[task].description}")
            raise
