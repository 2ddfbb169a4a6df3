"""An export process that kills itself at an exact instant: `python export_process.py CONFIG [POINT]`. Prints "ready" when it works."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from bridge.export.app import serve
from bridge.export.config import ExportConfig
from lianqiao_base import logs


def main(config: Path, point: str) -> None:
    def die_there(step: str) -> None:
        if step == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def ready() -> None:
        sys.stdout.write("ready\n")
        sys.stdout.flush()

    logs.configure("INFO")
    logging.getLogger("bridge.export").setLevel(logging.DEBUG)
    asyncio.run(serve(ExportConfig.load(config), ready=ready, probe=die_there))


if __name__ == "__main__":
    main(Path(sys.argv[1]), (sys.argv[2:3] or [""])[0])
