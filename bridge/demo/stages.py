"""Stages of a run: what is being done now, and how long each took. The display is somebody else's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage that ended; milliseconds of this machine's monotonic clock."""

    name: str
    ms: int


@dataclass
class Stages:
    """Tells `listener` (event, text): "begin" and "end" with the stage's name, "detail" with what happens inside it."""

    listener: Callable[[str, str], None] = lambda event, text: None
    done: list[Stage] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.listener("begin", name)
        started = time.monotonic_ns()
        yield
        self.done.append(Stage(name, (time.monotonic_ns() - started) // 1_000_000))
        self.listener("end", name)

    def detail(self, text: str) -> None:
        self.listener("detail", text)
