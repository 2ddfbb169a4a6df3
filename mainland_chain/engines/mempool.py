"""The bounded queue between admission and blocks. Belongs to one event loop; holds no clock and does no I/O."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from lianqiao_base.errors import LianqiaoError, Overloaded
from mainland_chain.engines.protocol import Outcome


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in ms."""

    block_transactions: int = 2_000
    block_bytes: int = 4 * 1024 * 1024
    block_interval_ms: int = 200
    """A block is made this long after the first pending transaction, or earlier when it is full."""
    transaction_bytes: int = 512 * 1024
    pending_transactions: int = 10_000
    pending_bytes: int = 32 * 1024 * 1024


@dataclass(eq=False, slots=True)
class Entry:
    """One admitted transaction and those who wait for it."""

    raw: bytes
    tx_hash: bytes
    committed: asyncio.Future[Outcome]
    postponed: int = 0
    """How many blocks left it out."""


class Mempool:
    """Admitted transactions in order, and room for those still being checked."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._queue: deque[Entry] = deque()
        self.queued_bytes = 0
        """Bytes of the transactions in the queue."""
        self._by_hash: dict[bytes, Entry] = {}
        self._reserved = 0
        self._reserved_bytes = 0
        self.waiting = asyncio.Event()
        """Set while the queue is not empty."""
        self.full_block = asyncio.Event()
        """Set while the queue holds a full block."""
        self.room = asyncio.Event()
        """Set while there is room."""
        self.room.set()

    def __len__(self) -> int:
        return self._reserved

    def reserve(self, size: int) -> None:
        """Take room for one transaction, from its arrival to its outcome. Raises `Overloaded("MEMPOOL_FULL")`."""
        if (
            self._reserved >= self._limits.pending_transactions
            or self._reserved_bytes + size > self._limits.pending_bytes
        ):
            self.room.clear()
            raise Overloaded(
                "MEMPOOL_FULL", f"{self._reserved} transactions are waiting", hint="slow down and send it again"
            )
        self._reserved += 1
        self._reserved_bytes += size

    def release(self, size: int) -> None:
        """Give room back."""
        self._reserved -= 1
        self._reserved_bytes -= size
        self.room.set()

    def find(self, tx_hash: bytes) -> Entry | None:
        """The pending transaction, also while its block is being made."""
        return self._by_hash.get(tx_hash)

    def add(self, entry: Entry) -> None:
        """Append; its room is already reserved."""
        self._by_hash[entry.tx_hash] = entry
        self._queue.append(entry)
        self.queued_bytes += len(entry.raw)
        self._signal()

    def take_block(self) -> list[Entry]:
        """Remove the next block's transactions from the queue; they stay findable until `settle` or `refuse`."""
        taken: list[Entry] = []
        size = 0
        while self._queue and len(taken) < self._limits.block_transactions:
            size += len(self._queue[0].raw)
            if taken and size > self._limits.block_bytes:
                break
            taken.append(self._queue.popleft())
        self.queued_bytes -= sum(len(e.raw) for e in taken)
        self._signal()
        return taken

    def put_back(self, entries: Sequence[Entry]) -> None:
        """Return taken ones to the front, in their order."""
        self._queue.extendleft(reversed(entries))
        self.queued_bytes += sum(len(e.raw) for e in entries)
        self._signal()

    def queued(self) -> tuple[Entry, ...]:
        return tuple(self._queue)

    def keep(self, entries: Sequence[Entry]) -> None:
        """Replace the queue by the part of it that is still good."""
        self._queue = deque(entries)
        self.queued_bytes = sum(len(e.raw) for e in entries)
        self._signal()

    def settle(self, entry: Entry, outcome: Outcome) -> None:
        self._forget(entry)
        if not entry.committed.done():
            entry.committed.set_result(outcome)

    def refuse(self, entry: Entry, error: LianqiaoError) -> None:
        self._forget(entry)
        if not entry.committed.done():
            entry.committed.set_exception(error)
            entry.committed.exception()  # nobody may be waiting: that is not a lost exception

    def refuse_all(self, error: LianqiaoError) -> int:
        """Everything pending ends with `error`; returns how many."""
        entries = list(self._by_hash.values())
        for entry in entries:
            self.refuse(entry, error)
        self._queue.clear()
        self.queued_bytes = 0
        self._signal()
        return len(entries)

    def _forget(self, entry: Entry) -> None:
        if self._by_hash.pop(entry.tx_hash, None) is not None:
            self.release(len(entry.raw))

    def _signal(self) -> None:
        _set(self.waiting, bool(self._queue))
        full = len(self._queue) >= self._limits.block_transactions or self.queued_bytes >= self._limits.block_bytes
        _set(self.full_block, full)


def _set(event: asyncio.Event, value: bool) -> None:
    if value:
        event.set()
    else:
        event.clear()
