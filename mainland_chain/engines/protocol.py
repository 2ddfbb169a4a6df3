"""What an engine is to the rest of the ledger: it takes transactions and gives certified blocks. The service, the
client and the operator's commands know this protocol, never an engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from lianqiao_base.errors import LianqiaoError
from mainland_chain.light.types import CertifiedCheckpoint
from mainland_chain.state.block import Head, TransactionResult


class Stage(IntEnum):
    """How far a caller waits. Values as in the protobuf enum."""

    ADMITTED = 1
    """Checked and in the queue; not yet durable."""
    COMMITTED = 2
    """In a committed block."""
    CERTIFIED = 3
    """In a block with a quorum certificate."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a transaction, as far as the caller waited."""

    result: TransactionResult
    height: int = 0
    """0 while in no block."""
    index: int = 0
    certified: bool = False


class LedgerEngine(Protocol):
    """Orders transactions into blocks and has them certified. Methods run on one event loop."""

    @property
    def name(self) -> str:
        """ "embedded" or "cometbft"."""
        ...

    async def start(self) -> None:
        """Recover to the stored head, certify it if that is due, and begin to take transactions."""
        ...

    async def stop(self) -> None:
        """Finish the block in progress; what is still pending gets `Retryable("SHUTTING_DOWN")`. Idempotent."""
        ...

    async def submit(self, raw: bytes, wait: Stage) -> Outcome:
        """Take a serialized SignedTransaction and wait for `wait`.

        A refusal before a block is raised as the typed error; one inside a block is the outcome's result.
        Idempotent: a committed transaction gives its outcome, a pending one is joined. Raises
        `Overloaded("MEMPOOL_FULL")` when the queue is full and `Retryable("SHUTTING_DOWN")` when the engine stops
        first. Cancelling the call does not take the transaction back.
        """
        ...

    async def wait_for_room(self) -> None:
        """Return when `submit` may again find room."""
        ...

    @property
    def pending(self) -> int:
        """Transactions not yet in a block."""
        ...

    def is_pending(self, tx_hash: bytes) -> bool:
        """Is this transaction admitted and in no block yet?"""
        ...

    def head(self) -> Head | None:
        """Newest committed block."""
        ...

    @property
    def certified_height(self) -> int:
        """Newest certified height, 0 before the first."""
        ...

    async def wait_certified(self, above: int) -> int:
        """Wait until a height greater than `above` is certified, and return the newest one."""
        ...

    def checkpoints(self, from_height: int) -> AsyncIterator[CertifiedCheckpoint]:
        """Every certified checkpoint from `from_height` on, in order, without gaps, as they come. Reads what is
        stored at the pace of the consumer: a slow one costs no memory."""
        ...

    @property
    def failure(self) -> LianqiaoError | None:
        """Why the engine stopped by itself, if it did."""
        ...

    async def wait_stopped(self) -> None:
        """Return when the engine no longer makes blocks, for whatever reason."""
        ...
