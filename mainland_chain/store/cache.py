"""A bounded cache of reads that never shows what a commit has replaced. Thread-safe."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ReadCache(Generic[K, V]):
    """Values by key. A reader notes `generation` before it reads the database and gives it back with `put`: if a
    commit came in between, the value is not kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()
        self.generation = 0

    def get(self, key: K) -> tuple[bool, V | None]:
        """(known, value)."""
        try:
            return True, self._values[key]
        except KeyError:
            return False, None

    def put(self, key: K, value: V, generation: int) -> None:
        with self._lock:
            if generation == self.generation:
                self._store(key, value)

    def update(self, values: Mapping[K, V]) -> None:
        """What a commit has just written."""
        with self._lock:
            self.generation += 1
            for key, value in values.items():
                self._store(key, value)

    def _store(self, key: K, value: V) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._limit:
            self._values.popitem(last=False)  # the one written longest ago
