"""A ledger in a process of its own that can be told to die at an exact instant: `python ledger_process.py CONFIG [POINT HEIGHT]`.

POINT is a step of the engine, or "in-transaction": after the block's transactions are written and before the rest of it is.
Prints "ready" when it serves.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mainland_chain.app import LedgerNode, run
from mainland_chain.config import LedgerConfig
from mainland_chain.engines.embedded import Step


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def tell(_: LedgerNode) -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


async def main(config: Path, point: str, height: int) -> None:
    def observe(step: Step, at: int) -> None:
        if step.value == point and at >= height:
            die()

    node = LedgerNode.build(LedgerConfig.load(config), observer=observe)
    if point == "in-transaction":

        @sa.event.listens_for(node.store.engine, "before_cursor_execute")
        def _(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            head = node.store.head()
            if statement.startswith("INSERT INTO records") and head is not None and head.header.height + 1 >= height:
                die()

    await run(node, ready=tell)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *(sys.argv[2:3] or [""]), int((sys.argv[3:4] or ["0"])[0])))
