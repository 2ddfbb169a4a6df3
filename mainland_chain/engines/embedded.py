"""The embedded engine: one process, one application, and the keys of all validators in it.

It is not fault tolerant and hides no trust: whoever runs the process holds a quorum. Its certificates are the same
bytes as those of a consortium, and it drives the same application through the same methods in the same order, so
that tests, demonstrations and a single operator need no second program.

For every block: check (on arrival), prepare, process, finalize, commit, extend vote and verify vote for each
validator, certificate. Signature checks of arriving transactions run on all cores; blocks are made in one worker
thread, so that the event loop keeps answering.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from lianqiao_base.errors import Fatal, LianqiaoError, Rejected, Retryable
from mainland_chain.application import Application, VoteExtension
from mainland_chain.crypto.protocols import Signer
from mainland_chain.engines.mempool import Entry, Limits, Mempool
from mainland_chain.engines.protocol import Outcome, Stage
from mainland_chain.light.types import CertifiedCheckpoint
from mainland_chain.state.block import BlockCommit, Head, LedgerStore, TransactionResult
from mainland_chain.state.refusals import Refusal, TransactionRefused

logger = logging.getLogger(__name__)

A = TypeVar("A")
T = TypeVar("T")

_PAGE = 64
_NAMES_UNKNOWN = (Refusal.UNKNOWN_SIGNER, Refusal.UNKNOWN_DEVICE, Refusal.BAD_APPROVAL)
_OVERLAY_BYTES = 16 * 1024 * 1024
_MAX_POSTPONED = 3
_COMMIT_BACKOFF_S = 0.1


class Step(Enum):
    """Instants between the steps of a block, for observers."""

    PREPARED = "prepared"
    FINALIZED = "finalized"
    COMMITTED = "committed"
    CERTIFIED = "certified"


@dataclass(eq=False, slots=True)
class _Ticket:
    """A transaction on its way in."""

    raw: bytes
    prechecked: asyncio.Future[bytes]
    admitted: asyncio.Future[Entry | Outcome]


async def _prechecked(ticket: _Ticket) -> bytes | None:
    """The transaction's hash; None when only the check in order can tell, because who it names may be pending
    itself."""
    try:
        return await ticket.prechecked
    except TransactionRefused as error:
        if error.refusal in _NAMES_UNKNOWN:
            return None
        raise


def shutting_down() -> Retryable:
    return Retryable("SHUTTING_DOWN", "the ledger stops before this is in a block", hint="send it again later")


class EmbeddedEngine:
    """A `LedgerEngine` in one process. `clock` gives ms UTC; `observer` is told the steps of each block, in the
    worker thread."""

    def __init__(
        self,
        application: Application,
        store: LedgerStore,
        signers: Mapping[bytes, Signer],
        *,
        clock: Callable[[], int],
        limits: Limits | None = None,
        observer: Callable[[Step, int], None] | None = None,
    ) -> None:
        """`signers` are the validators' keys by 32-byte organisation id. Raises `Fatal("NO_QUORUM_KEYS")` when
        those of the present validator set are too few."""
        validators = application.validators
        keys = {m.org_id: m.public_key for m in validators.members}
        usable = {org: s for org, s in signers.items() if keys.get(org) == s.public_key}
        if len(usable) < validators.quorum:
            raise Fatal(
                "NO_QUORUM_KEYS",
                f"keys of {len(usable)} validators are here, {validators.quorum} of {len(keys)} are needed",
                hint="check the keystore against the genesis document",
            )
        self._application = application
        self._store = store
        self._signers = usable
        self._clock = clock
        self._limits = limits or Limits()
        self._observe = observer or (lambda _step, _height: None)
        self._mempool = Mempool(self._limits)
        self._tickets: asyncio.Queue[_Ticket] = asyncio.Queue()
        cores = os.cpu_count() or 1
        self._checkers = ThreadPoolExecutor(cores, thread_name_prefix="precheck")
        self._voters = ThreadPoolExecutor(min(len(usable), cores), thread_name_prefix="vote")
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="block")
        self._checked_bytes = 0
        self._certified_height = 0
        self._advanced = asyncio.Event()
        self._stopping = False
        self._stopped = asyncio.Event()
        self._failure: LianqiaoError | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # --- what others see ---------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return "embedded"

    @property
    def pending(self) -> int:
        return len(self._mempool)

    @property
    def certified_height(self) -> int:
        return self._certified_height

    @property
    def failure(self) -> LianqiaoError | None:
        return self._failure

    def is_pending(self, tx_hash: bytes) -> bool:
        return self._mempool.find(tx_hash) is not None

    def head(self) -> Head | None:
        return self._store.head()

    async def start(self) -> None:
        head = self._store.head()
        newest = self._store.certified()
        self._certified_height = newest.checkpoint.height if newest else 0
        if head is not None and self._certified_height < head.header.height:
            # The process died between the block and its certificate.
            logger.info("certifying the recovered head", extra={"height": head.header.height})
            self._advance(await self._in_worker(self._certify, head.header.height))
        self._tasks = [
            asyncio.create_task(self._guarded(self._admit_forever()), name="ledger-admission"),
            asyncio.create_task(self._guarded(self._make_blocks()), name="ledger-blocks"),
        ]

    async def stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._mempool.waiting.set()  # wakes the block task, which sees that it should end
            self._mempool.full_block.set()
        if self._tasks:
            admission, blocks = self._tasks
            admission.cancel()
            await asyncio.gather(admission, blocks, return_exceptions=True)
        self._end(shutting_down())
        for pool in (self._checkers, self._voters, self._worker):
            pool.shutdown(wait=True, cancel_futures=True)

    async def wait_stopped(self) -> None:
        await self._stopped.wait()

    async def wait_for_room(self) -> None:
        await self._mempool.room.wait()
        self._require_running()

    async def submit(self, raw: bytes, wait: Stage) -> Outcome:
        self._require_running()
        if len(raw) > self._limits.transaction_bytes:
            raise Rejected(
                "TRANSACTION_TOO_LARGE",
                f"{len(raw)} bytes; at most {self._limits.transaction_bytes} are allowed",
                hint="split it into smaller batches",
            )
        self._mempool.reserve(len(raw))
        loop = asyncio.get_running_loop()
        ticket = _Ticket(
            raw, loop.run_in_executor(self._checkers, self._application.precheck, raw), loop.create_future()
        )
        self._tickets.put_nowait(ticket)
        # Shielded: a caller that goes away must not take back what others may have joined.
        admitted = await asyncio.shield(ticket.admitted)
        if isinstance(admitted, Outcome):
            outcome = admitted
        elif wait is Stage.ADMITTED:
            return Outcome(TransactionResult(admitted.tx_hash, Refusal.OK.name))
        else:
            outcome = await asyncio.shield(admitted.committed)
        if wait is Stage.CERTIFIED:
            await self.wait_certified(outcome.height - 1)
        certified = outcome.height <= self._certified_height
        return Outcome(outcome.result, outcome.height, outcome.index, certified)

    async def wait_certified(self, above: int) -> int:
        while self._certified_height <= above:
            if self._stopped.is_set():  # not merely stopping: a block in progress is still certified
                self._require_running()
            await self._advanced.wait()
        return self._certified_height

    async def checkpoints(self, from_height: int) -> AsyncIterator[CertifiedCheckpoint]:
        height = from_height
        loop = asyncio.get_running_loop()
        while True:
            await self.wait_certified(height - 1)
            for certified in await loop.run_in_executor(None, self._store.certified_from, height, _PAGE):
                yield certified
                height = certified.checkpoint.height + 1

    # --- admission ---------------------------------------------------------------------------------------------------

    async def _admit_forever(self) -> None:
        """In order of arrival, whatever order the prechecks finish in: a device's batches follow each other."""
        while True:
            ticket = await self._tickets.get()
            try:
                admitted = self._admit(ticket.raw, await _prechecked(ticket))
            except asyncio.CancelledError:
                self._refuse_ticket(ticket, shutting_down())
                raise
            except LianqiaoError as error:
                self._refuse_ticket(ticket, error)
            except Exception as error:
                # One transaction that breaks our code must not stop the ledger for all others.
                logger.exception("a check failed unexpectedly", exc_info=error)
                self._refuse_ticket(ticket, Fatal("INTERNAL", "the check failed unexpectedly; see the server's log"))
            else:
                if not ticket.admitted.done():
                    ticket.admitted.set_result(admitted)

    def _admit(self, raw: bytes, tx_hash: bytes | None) -> Entry | Outcome:
        entry = None if tx_hash is None else self._mempool.find(tx_hash)
        if entry is not None:
            self._mempool.release(len(raw))
            return entry
        try:
            tx_hash = self._application.check(raw, self._clock())
        except LianqiaoError as error:
            outcome = None if tx_hash is None else self._committed_outcome(tx_hash, error)
            if outcome is None:
                raise
            self._mempool.release(len(raw))
            return outcome
        entry = Entry(raw, tx_hash, asyncio.get_running_loop().create_future())
        self._mempool.add(entry)
        return entry

    def _committed_outcome(self, tx_hash: bytes, error: LianqiaoError) -> Outcome | None:
        """A committed transaction is refused as a replay: that is its first outcome, told again."""
        stored = self._store.transaction(tx_hash)
        if stored is None or not (stored.result.ok or error.code == Refusal.DUPLICATE_TRANSACTION.name):
            return None
        return Outcome(stored.result, stored.height, stored.index)

    # --- blocks ------------------------------------------------------------------------------------------------------

    async def _make_blocks(self) -> None:
        loop = asyncio.get_running_loop()
        interval = self._limits.block_interval_ms / 1000
        last_start = 0.0
        while not self._stopping:
            idle = not self._mempool.waiting.is_set()
            await self._mempool.waiting.wait()
            # Under load the next block's time runs while the last one is being made.
            await self._until_full((loop.time() if idle else last_start) + interval)
            last_start = loop.time()
            if self._stopping:
                return
            await self._make_block(self._mempool.take_block())

    async def _until_full(self, deadline: float) -> None:
        delay = deadline - asyncio.get_running_loop().time()
        if delay > 0 and not self._mempool.full_block.is_set():
            try:
                async with asyncio.timeout(delay):
                    await self._mempool.full_block.wait()
            except TimeoutError:
                return

    async def _make_block(self, taken: Sequence[Entry]) -> None:
        block = await self._in_worker(self._commit_block, [e.raw for e in taken])
        included = set()
        if block is not None:
            height = block.header.height
            for index, result in enumerate(block.results):
                included.add(result.tx_hash)
                entry = self._mempool.find(result.tx_hash)
                if entry is not None:
                    self._mempool.settle(entry, Outcome(result, height, index))
        left_out = [e for e in taken if e.tx_hash not in included]
        for entry in left_out:
            entry.postponed += 1
        self._mempool.put_back(left_out)
        as_checked = block is not None and not left_out and all(r.ok for r in block.results)
        self._checked_bytes += sum(len(e.raw) for e in taken)
        # The check's view already holds what the block wrote, so it stays true when the block went as checked. Starting afresh
        # costs a check of the whole queue: worth it only when the view has grown well beyond the queue.
        if not (as_checked and self._checked_bytes < max(_OVERLAY_BYTES, 2 * self._mempool.queued_bytes)):
            self._check_again()
        if block is not None:
            self._advance(await self._in_worker(self._certify, block.header.height))

    def _check_again(self) -> None:
        """Check what is still pending against the new head, in order."""
        self._checked_bytes = 0
        self._application.begin_check()
        now = self._clock()
        kept: list[Entry] = []
        for entry in self._mempool.queued():
            try:
                if entry.postponed >= _MAX_POSTPONED:
                    raise Retryable(
                        "NOT_INCLUDED", f"{entry.postponed} blocks left it out", hint="send it again, or split it"
                    )
                self._application.check(entry.raw, now)
            except LianqiaoError as error:
                self._mempool.refuse(entry, error)
            else:
                kept.append(entry)
        self._mempool.keep(kept)

    def _commit_block(self, raws: Sequence[bytes]) -> BlockCommit | None:
        """In the worker: one block, committed. None when nothing of `raws` may enter it."""
        head = self._store.head()
        height = 1 if head is None else head.header.height + 1
        earliest = self._application.genesis.created_ms if head is None else head.header.time_ms + 1
        proposal = self._application.prepare(height, max(self._clock(), earliest), raws)
        if not proposal.transactions:
            return None
        self._observe(Step.PREPARED, height)
        self._application.process(proposal)

        def finalized_and_committed() -> BlockCommit:
            block = self._application.finalize(proposal)
            self._observe(Step.FINALIZED, height)
            self._application.commit()
            return block

        block = self._patiently(finalized_and_committed, height)
        self._observe(Step.COMMITTED, height)
        return block

    def _certify(self, height: int) -> int:
        """In the worker: the certificate of the last committed block."""
        votes = [v for v in self._voters.map(self._vote, self._signers.items()) if v is not None]
        certified = self._application.certificate(votes)
        self._patiently(lambda: self._store.save_certificate(certified), height)
        self._observe(Step.CERTIFIED, height)
        return certified.checkpoint.height

    def _patiently(self, step: Callable[[], T], height: int) -> T:
        """In the worker: `step`, again and again while the store is not ready and we are not stopping."""
        while True:
            try:
                return step()
            except Retryable as error:
                if self._stopping:
                    raise
                logger.warning("the store is not ready, trying again", extra={"height": height, "code": error.code})
                time.sleep(_COMMIT_BACKOFF_S)

    def _vote(self, validator: tuple[bytes, Signer]) -> VoteExtension | None:
        org, signer = validator
        try:
            extension = self._application.extend_vote(signer, org)
            self._application.verify_vote(extension)
        except LianqiaoError as error:
            # A quorum may do without it; without a quorum `certificate` refuses.
            logger.warning("a validator's vote is missing", extra={"org": org.hex(), "code": error.code})
            return None
        return extension

    # --- plumbing ----------------------------------------------------------------------------------------------------

    async def _in_worker(self, function: Callable[[A], T], argument: A) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, function, argument)

    def _advance(self, height: int) -> None:
        self._certified_height = height
        self._wake()

    def _wake(self) -> None:
        self._advanced.set()
        self._advanced = asyncio.Event()

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        """Run one of the engine's tasks; if it breaks, the engine stops and says why."""
        try:
            await work
        except LianqiaoError as error:
            self._fail(error)
        except Exception as error:
            logger.exception("the engine broke", exc_info=error)
            self._fail(Fatal("ENGINE_BROKEN", "unexpected error in the engine; see the log"))

    def _fail(self, error: LianqiaoError) -> None:
        if self._stopping and isinstance(error, Retryable):
            return  # the store was not ready while we stopped: nothing was committed, nothing is lost
        logger.error("the engine stops", extra={"code": error.code, "reason": str(error)})
        self._failure = error
        self._end(Retryable("ENGINE_FAILED", "the ledger has stopped", hint="the operator must look at its log"))

    def _end(self, error: Retryable) -> None:
        """Answer everybody who still waits."""
        while not self._tickets.empty():
            ticket = self._tickets.get_nowait()
            ticket.prechecked.cancel()
            self._refuse_ticket(ticket, error)
        dropped = self._mempool.refuse_all(error)
        if dropped:
            logger.warning("pending transactions were handed back", extra={"count": dropped})
        self._stopped.set()
        self._wake()

    def _refuse_ticket(self, ticket: _Ticket, error: LianqiaoError) -> None:
        self._mempool.release(len(ticket.raw))
        if not ticket.admitted.done():
            ticket.admitted.set_exception(error)
            ticket.admitted.exception()  # the caller may be gone: that is not a lost exception

    def _require_running(self) -> None:
        if self._failure is not None:
            raise Retryable("ENGINE_FAILED", "the ledger has stopped", hint="the operator must look at its log")
        if self._stopping:
            raise shutting_down()
