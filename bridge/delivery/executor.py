"""Moves items on: plans, stores the intent, sends, watches. One executor per sending key; not for two threads at once.

What is stored comes before what is done: between any two steps the process may die, and `recover` followed by `tick`
continues from the store alone. `probe` is told of every boundary; tests stop the process there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from bridge.delivery import machine as m
from bridge.delivery.layer2 import Layer2
from bridge.delivery.plan import NextCall, plan_order, plan_packet, plan_report
from bridge.delivery.reasons import BRIDGE, MEMBERS, OPERATOR, WAKES_ON_PROGRESS, insist, judge
from bridge.delivery.store import DeliveryStore, OutboxEntry, StoredItem
from bridge.delivery.wire import decode_contradiction, decode_order, decode_packet
from compliance.transfer.gate import clearance_from_bytes
from hk_l2.chain import Receipt
from hk_l2.errors import FeeCapExceeded, FeeTooLow, NonceConflict, RevertError
from hk_l2.finality import FinalityState
from lianqiao_base.errors import Fatal, LianqiaoError, PreconditionFailed, Rejected, Retryable

logger = logging.getLogger(__name__)

CRASH_POINTS = (
    "intent:before-store",
    "intent:stored",
    "send:before-broadcast",
    "send:after-broadcast",
    "send:stored",
    "watch:before-mined",
    "watch:mined",
    "final:before-store",
    "final:stored",
)
"""Boundaries of the executor that `probe` is told of (`service` adds those of submission)."""


_FROZEN = ("CLIENT_FROZEN", "the mainland quorum contradicted itself: only the report of that is sent")


@dataclass(frozen=True, slots=True)
class ExecutorSettings:
    """Times in milliseconds."""

    batch: int = 32
    """Items of each kind (new, tried before) per tick."""
    watch_ms: int = 200
    """Between two looks at a transaction."""
    replace_after_ms: int = 60_000
    """A transaction that waits longer is signed again for a higher fee."""


class Executor:
    """See the module."""

    def __init__(
        self,
        store: DeliveryStore,
        layer2: Layer2,
        clock: Callable[[], int],
        settings: ExecutorSettings | None = None,
        probe: Callable[[str], None] = lambda point: None,
        frozen: Callable[[], bool] = lambda: False,
    ) -> None:
        """`frozen` tells whether the mainland quorum contradicted itself: then nothing but the report of that is sent."""
        self._store = store
        self._layer2 = layer2
        self._clock = clock
        self._settings = settings or ExecutorSettings()
        self._probe = probe
        self._frozen = frozen

    def recover(self) -> None:
        """After a start: continue the nonce lane behind the stored transactions."""
        self._layer2.restore([entry.transaction for entry in self._store.outbox()])

    def mined_hash(self, item: m.Item) -> bytes:
        """Hash of the transaction (of several replacements) that was mined for a final item. Raises `Fatal`."""
        for entry in reversed(self._store.outbox(item.item_id, only_open=False)):
            receipt = self._layer2.receipt(entry.transaction.tx_hash)
            if receipt is not None and receipt.succeeded and receipt.block_hash == item.block_hash:
                return entry.transaction.tx_hash
        raise Fatal("RECEIPT_GONE", "the node no longer has the receipt of a final item", subject=item.item_id.hex())

    def tick(self) -> int:
        """Try every item that is due, new ones and earlier failures in turn; returns how many moved.

        An error of one item is kept with that item and never stops the others.
        """
        moved = 0
        for item_id in self._store.intended():
            moved += self._attempt(item_id)  # a stored intent blocks the nonce lane: first of all
        for item in self._due():
            moved += self._attempt(item.item_id)
        return moved

    def _due(self) -> Iterator[m.Item]:
        now, limit = self._clock(), self._settings.batch
        fresh = self._store.due(now, fresh=True, limit=limit)
        tried = self._store.due(now, fresh=False, limit=limit)
        for pair in zip_longest(fresh, tried):
            yield from (item for item in pair if item is not None)

    def _attempt(self, item_id: bytes) -> bool:
        try:
            stored = self._store.get(item_id)
            if stored.item.next_attempt_ms > self._clock():
                return False
            self._step(stored)
            after = self._store.get(item_id).item
            return (after.state, after.intent) != (stored.item.state, stored.item.intent)
        except m.IllegalEvent:
            return False  # a submission changed the item meanwhile; the next tick sees it as it is
        except LianqiaoError as error:
            self._defer(item_id, error)
        except Exception:
            # Whatever one item does to us, the others go on; the log has the trace, the item a name for it.
            logger.exception("unexpected error in delivery", extra={"item": item_id.hex()})
            self._defer(item_id, Fatal("INTERNAL", "unexpected error; see the log"))
        return False

    def _defer(self, item_id: bytes, error: LianqiaoError) -> None:
        item = self._store.get(item_id).item
        actor = "" if isinstance(error, Retryable) else OPERATOR
        logger.warning("delivery deferred", extra={"item": item_id.hex(), "code": error.code})
        at = self._clock() + m.backoff_ms(item.attempts)
        self._store.advance(item_id, m.Deferred(error.code, error.message, actor, at), self._clock())

    def _step(self, stored: StoredItem) -> None:
        match m.next_action(stored.item):
            case m.Action.PLAN:
                self._plan(stored)
            case m.Action.SEND:
                self._send(stored.item)
            case m.Action.WATCH:
                self._watch(stored.item)
            case m.Action.AWAIT_FINALITY:
                self._await_finality(stored.item)

    def _plan(self, stored: StoredItem) -> None:
        item = stored.item
        if self._store.intended():
            raise Retryable("LANE_BUSY", "an earlier transaction has not reached the node yet")
        earlier = self._store.earlier_unsent(item.item_id)
        if earlier is not None:
            reason = f"an earlier interval of this asset comes first: {earlier.hex()}"
            at = self._clock() + m.backoff_ms(item.attempts)
            self._advance(item, m.Deferred("EarlierInterval", reason, BRIDGE, at))
            return
        planned = self._next_call(stored)
        if not isinstance(planned, NextCall):
            self._advance(item, planned)
            return
        at = self._clock() + m.backoff_ms(item.attempts)
        if self._stopped(item):
            self._advance(item, m.Deferred(*_FROZEN, MEMBERS, at))
            return
        try:
            prepared = self._layer2.prepare(planned.call)
        except RevertError as error:
            self._advance(item, (insist if item.kind is m.Kind.EQUIVOCATION else judge)(error, at))
            return
        intent = m.Intent(planned.call.label, prepared.nonce, prepared.tx_hash, planned.last)
        detail = f"{intent.label}, nonce {intent.nonce}, 0x{intent.tx_hash.hex()}"
        try:
            self._probe("intent:before-store")
            after = self._store.advance(
                item.item_id, m.Intended(intent), self._clock(), detail=detail, prepared=prepared
            )
        except BaseException:
            self._reset_lane()  # nothing was sent: the nonce is free
            raise
        self._probe("intent:stored")
        self._send(after)

    def _next_call(self, stored: StoredItem) -> NextCall | m.Event:
        now, at = self._clock(), self._layer2.latest()
        if stored.item.kind is m.Kind.PACKET:
            return plan_packet(decode_packet(stored.content), self._layer2, at, stored.item.attempts, now)
        if stored.item.kind is m.Kind.EQUIVOCATION:
            return plan_report(decode_contradiction(stored.content), self._layer2, at)
        if stored.attachment is None:
            raise Fatal("CLEARANCE_MISSING", "a cleared order has no clearance in the store")
        signed = clearance_from_bytes(stored.attachment)
        return plan_order(decode_order(stored.content), signed, self._layer2, at, now)

    def _send(self, item: m.Item) -> None:
        entry = self._entries(item)[-1]
        if self._stopped(item):
            # Signed before the freeze. What a node has is followed; what none has is never sent, and frees its nonce.
            self._abandon(item, *_FROZEN)
            return
        self._probe("send:before-broadcast")
        try:
            self._layer2.broadcast(entry.transaction)
        except NonceConflict:
            self._nonce_conflict(item)
            return
        except (FeeTooLow, FeeCapExceeded) as error:
            self._abandon(item, error.code, error.message)
            return
        except Retryable:
            raise  # the node may or may not have it: the same bytes are sent again
        except (Rejected, PreconditionFailed) as error:
            self._abandon(item, error.code, error.message)
            return
        self._probe("send:after-broadcast")
        after = self._advance(item, m.Broadcast())
        self._probe("send:stored")
        self._watch(after)

    def _stopped(self, item: m.Item) -> bool:
        """Whether nothing may be sent for the item any more.

        What was sent before the freeze is still followed, and sent again when a node lost it: its nonce comes before that
        of the report, and the frozen contracts refuse its effect.
        """
        return item.kind is not m.Kind.EQUIVOCATION and self._frozen()

    def _abandon(self, item: m.Item, code: str, reason: str) -> None:
        if any(self._layer2.knows(e.transaction.tx_hash) for e in self._entries(item)):
            self._advance(item, m.Broadcast())
            return
        at = self._clock() + m.backoff_ms(item.attempts)
        self._advance(item, m.Abandoned(code, reason, at), close_outbox=True)
        self._reset_lane()

    def _nonce_conflict(self, item: m.Item) -> None:
        if self._receipt(item) is None:
            stamp = self._layer2.latest()
            self._advance(item, m.NonceTaken(stamp.number, stamp.hash), detail="another transaction has the nonce")
            return
        self._watch(item)

    def _watch(self, item: m.Item) -> None:
        found = self._receipt(item)
        if found is None:
            self._watch_unmined(item)
            return
        entry, receipt = found
        if receipt.succeeded:
            self._probe("watch:before-mined")
            detail = f"block {receipt.block_number}, gas {receipt.gas_used}, 0x{receipt.transaction_hash.hex()}"
            after = self._advance(item, m.Mined(receipt.block_number, receipt.block_hash), detail=detail)
            self._probe("watch:mined")
            self._store.wake((*WAKES_ON_PROGRESS, "EarlierInterval"))
            if m.next_action(after) is m.Action.AWAIT_FINALITY:
                self._await_finality(after)
            return
        # A failed transaction is only given up when no reorganisation can bring its nonce back.
        if self._layer2.finality(receipt.block_number, receipt.block_hash) is not FinalityState.FINAL:
            self._postpone(item)
            return
        failure = self._layer2.failure(entry.transaction, receipt)
        at = self._clock() + m.backoff_ms(item.attempts)
        self._advance(item, m.Reverted(failure.error_name or failure.code, failure.message, at), close_outbox=True)

    def _watch_unmined(self, item: m.Item) -> None:
        if item.block_hash is not None and item.block_number is not None:
            state = self._layer2.finality(item.block_number, item.block_hash)
            if state is FinalityState.FINAL:
                at = self._clock() + m.backoff_ms(item.attempts)
                self._advance(item, m.IntentLost(at), close_outbox=True)
                self._reset_lane()
                return
            if state is FinalityState.REORGED:
                item = self._advance(item, m.Reorged())
        newest = self._entries(item)[-1]
        if not self._layer2.knows(newest.transaction.tx_hash):
            try:
                self._layer2.broadcast(newest.transaction)
            except NonceConflict:
                if item.block_hash is None:
                    self._nonce_conflict(item)
                return
        elif self._clock() - newest.prepared_ms > self._settings.replace_after_ms:
            self._replace(item, newest)
        self._postpone(item)

    def _replace(self, item: m.Item, entry: OutboxEntry) -> None:
        replacement = self._layer2.replace(entry.transaction)
        event = m.Replaced(replacement.tx_hash, replacement.nonce)
        detail = f"higher fee, nonce {replacement.nonce}, 0x{replacement.tx_hash.hex()}"
        self._store.advance(item.item_id, event, self._clock(), detail=detail, prepared=replacement)
        self._layer2.broadcast(replacement)

    def _await_finality(self, item: m.Item) -> None:
        if item.block_number is None or item.block_hash is None:
            raise Fatal("BLOCK_MISSING", "a mined item has no block")
        state = self._layer2.finality(item.block_number, item.block_hash)
        if state is FinalityState.PENDING:
            self._postpone(item)
            return
        if state is FinalityState.REORGED:
            self._advance(item, m.Reorged(), detail=f"block {item.block_number} left the chain")
            return
        self._probe("final:before-store")
        self._advance(item, m.Finalised(), detail=f"block {item.block_number}", close_outbox=True)
        self._probe("final:stored")
        self._store.wake((*WAKES_ON_PROGRESS, "EarlierInterval"))

    def _receipt(self, item: m.Item) -> tuple[OutboxEntry, Receipt] | None:
        for entry in self._entries(item):
            receipt = self._layer2.receipt(entry.transaction.tx_hash)
            if receipt is not None:
                return entry, receipt
        return None

    def _entries(self, item: m.Item) -> list[OutboxEntry]:
        """The item's outstanding transaction and its replacements."""
        nonce = item.intent.nonce if item.intent is not None else None
        entries = [e for e in self._store.outbox(item.item_id) if e.transaction.nonce == nonce]
        if not entries:
            raise Fatal("OUTBOX_MISSING", "the stored transaction of an intent is gone", subject=item.item_id.hex())
        return entries

    def _reset_lane(self) -> None:
        self._layer2.restore([entry.transaction for entry in self._store.outbox()])

    def _postpone(self, item: m.Item) -> None:
        self._store.postpone(item.item_id, self._clock() + self._settings.watch_ms)

    def _advance(self, item: m.Item, event: m.Event, *, detail: str = "", close_outbox: bool = False) -> m.Item:
        return self._store.advance(item.item_id, event, self._clock(), detail=detail, close_outbox=close_outbox)
