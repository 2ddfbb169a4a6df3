"""The delivery node: takes packets and orders, verifies them, keeps them, and drives the executor. Usable in process."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bridge.delivery import machine as m
from bridge.delivery.executor import Executor, ExecutorSettings
from bridge.delivery.layer2 import Layer2
from bridge.delivery.order import Order
from bridge.delivery.reasons import COMPLIANCE, ISSUER
from bridge.delivery.store import DeliveryStore, StoredItem
from bridge.delivery.trace import TraceReport, explain
from bridge.delivery.trust_store import TrustStore
from bridge.delivery.wire import decode_order, decode_packet, encode_contradiction, encode_order, encode_packet
from compliance.evidence.model import Decision, DecisionRecord, Finding
from compliance.transfer.clearance import SignedClearance
from compliance.transfer.gate import TransferOutcome, clearance_from_bytes, clearance_to_bytes
from compliance.transfer.ivms import IdentityPayload, parse_identity
from compliance.transfer.model import TransferOrder, UnitPrice
from hk_l2.typed_data import Domain
from lianqiao_base.errors import AlreadyExists, LianqiaoError, NotFound, PreconditionFailed, Rejected
from mainland_chain.light.claims import AssetClaim, Claim, UnitLockClaim, decode_claim
from mainland_chain.light.errors import Equivocation
from mainland_chain.light.genesis import Genesis
from mainland_chain.light.packet import Packet, VerifiedPacket, verify_packet

logger = logging.getLogger(__name__)

IN_PROCESS = b""
"""Submitter of what this process itself hands in; may trace everything."""
MIN_PREFIX_BYTES = 4
SUBMIT_CRASH_POINTS = (
    "packet:verified",
    "packet:stored",
    "order:before-store",
    "order:received",
    "order:verified",
    "order:decided",
    "order:stored",
)
"""Boundaries of submission that `probe` is told of."""
FREEZE_CRASH_POINTS = ("freeze:stored", "freeze:report-stored")
"""Boundaries of an equivocation, before its report goes the way of every item."""


class Clearances(Protocol):
    """The transfer gate as delivery uses it."""

    def decide(
        self, order: TransferOrder, identity: IdentityPayload | None, price: UnitPrice | None, now_ms: int
    ) -> TransferOutcome:
        """Decide about one order; a repeated question gets the stored answer."""
        ...

    def recall(self, order_id: bytes) -> TransferOutcome | None:
        """The stored decision about an order, if there is one."""
        ...


@dataclass(frozen=True, slots=True)
class Submission:
    """Where a packet or order stands after a call."""

    item_id: bytes
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class OrderEvidence:
    """What a bundle needs of this node about one minted order."""

    genesis: Genesis
    packets: tuple[Packet, ...]
    """Of the asset, the lock, and the newest telemetry at the mint."""
    order: Order
    clearance: SignedClearance
    decision: DecisionRecord
    tx_hash: bytes


class DeliveryNode:
    """One node. `submit_*` and `trace` may be called from any thread; `tick` from one. `clock` gives ms UTC."""

    def __init__(
        self,
        *,
        store: DeliveryStore,
        layer2: Layer2,
        clearances: Clearances,
        genesis: Genesis,
        clock: Callable[[], int],
        settings: ExecutorSettings | None = None,
        probe: Callable[[str], None] = lambda point: None,
    ) -> None:
        self._store = store
        self._layer2 = layer2
        self._clearances = clearances
        self._clock = clock
        self._probe = probe
        self._trust = TrustStore(store, genesis)
        self._executor = Executor(store, layer2, clock, settings, probe, lambda: self._trust.state.frozen)
        self._submitting = threading.RLock()
        self._destination = layer2.domain.destination()

    @property
    def domain(self) -> Domain:
        """EIP-712 domain of the MintController."""
        return self._layer2.domain

    @property
    def destination(self) -> bytes:
        """What claims for this node name as their destination."""
        return self._destination

    def start(self) -> None:
        """Continue what an earlier run left: the nonce lane, the report of an equivocation, orders that were cut off."""
        self._executor.recover()
        self._report_contradiction()
        for stored in self._store.interrupted():
            self._resume(stored)

    def submit_packet(self, packet: Packet, submitter: bytes = IN_PROCESS) -> Submission:
        """Verify and take a packet. Safe to repeat; under a newer checkpoint it revives one that is held.

        A packet that does not verify is refused and leaves no trace, so that a forgery cannot stand in the way of the real
        one. Raises `VerificationError`, `Fatal("CLIENT_FROZEN")`, and `Equivocation`, which also freezes this node
        and has the L2's light client told.
        """
        now = self._clock()
        with self._submitting:
            try:
                verified = verify_packet(packet, self._trust.state, destination=self._destination, now_ms=now)
                self._trust.learn(verified.trusted, packet.checkpoint)
            except Equivocation as error:
                self._trust.freeze(error)
                logger.critical("equivocation: the mainland quorum contradicted itself", extra=error.data)
                self._probe("freeze:stored")
                self._report_contradiction()
                raise
            self._probe("packet:verified")
            item = self._keep_packet(verified, submitter, now)
        self._probe("packet:stored")
        return _submission(item)

    def _report_contradiction(self) -> None:
        """Once this node is frozen, there is one item that reports why. It survives a death between freeze and item."""
        contradiction = self._trust.contradiction()
        if contradiction is None or self._store.find(contradiction.item_id) is not None:
            return
        item = m.Item(contradiction.item_id, m.Kind.EQUIVOCATION)
        c = contradiction.first.checkpoint
        detail = f"two certified checkpoints at height {c.height}, epoch {c.epoch}"
        content = encode_contradiction(contradiction)
        self._store.insert(item, content, IN_PROCESS, self._clock(), events=((m.Verified(), detail),))
        self._probe("freeze:report-stored")

    def _keep_packet(self, verified: VerifiedPacket, submitter: bytes, now: int) -> m.Item:
        packet, content = verified.packet, encode_packet(verified.packet)
        height = packet.checkpoint.checkpoint.height
        known = self._store.find(verified.packet_id)
        if known is None:
            lane = (_lane_of(verified.claim), packet.log_index)
            item = m.Item(verified.packet_id, m.Kind.PACKET)
            detail = f"{type(verified.claim).__name__} at log index {packet.log_index}, checkpoint {height}"
            return self._store.insert(item, content, submitter, now, events=((m.Verified(), detail),), lane=lane)
        newer = height > decode_packet(known.content).checkpoint.checkpoint.height
        if known.item.state in (m.State.HELD, m.State.VERIFIED) and newer:
            detail = f"with a proof under checkpoint {height}"
            self._store.advance(known.item.item_id, m.Resubmitted(), now, detail=detail, content=content)
            return self._store.advance(known.item.item_id, m.Verified(), now, detail=detail)
        return known.item

    def submit_order(self, order: Order, identity_payload: bytes = b"", submitter: bytes = IN_PROCESS) -> Submission:
        """Check an order against its proven lock and ask the transfer gate about it. Safe to repeat.

        The identity payload (IVMS101, JSON) goes to the gate and is not kept here. Raises `AlreadyExists("ORDER_DIFFERS")`,
        `PreconditionFailed("LOCK_UNKNOWN")`, `Rejected` for a wrong signature or payload.
        """
        identity = parse_identity(identity_payload) if identity_payload else None
        content = encode_order(order)
        with self._submitting:
            known = self._store.find(order.order_id)
            if known is not None:
                if known.content != content:
                    raise AlreadyExists(
                        "ORDER_DIFFERS",
                        "another order was submitted under this id",
                        subject=order.order_id.hex(),
                        hint="use a new order id for a new order",
                    )
                if known.item.state not in (m.State.RECEIVED, m.State.VERIFIED, m.State.HELD):
                    return _submission(known.item)
            issuer = self._check_issuer(order)
            self._probe("order:before-store")
            stored = self._receive(order, content, known, submitter)
            self._probe("order:received")
            item = self._decide(order, issuer, identity, stored)
        self._probe("order:stored")
        return _submission(item)

    def _check_issuer(self, order: Order) -> bytes:
        # Before anything is stored: whoever cannot sign for the lock cannot occupy an order id either.
        self._trust.state.require_live()
        issuer = order.issuer(self._layer2.domain)
        lock = self._layer2.lock_info(order.lock_ref)
        if lock is None:
            raise PreconditionFailed(
                "LOCK_UNKNOWN",
                "the lock is not proven on this L2",
                subject=order.lock_ref.hex(),
                hint="submit the order again when the lock's packet is final",
            )
        if bytes.fromhex(lock.issuer[2:]) != issuer:
            raise Rejected(
                "ORDER_SIGNATURE", "the order is not signed by the lock's issuer", subject=order.order_id.hex()
            )
        return issuer

    def _receive(self, order: Order, content: bytes, known: StoredItem | None, submitter: bytes) -> StoredItem:
        now = self._clock()
        if known is None:
            self._store.insert(m.Item(order.order_id, m.Kind.ORDER), content, submitter, now)
        else:
            self._store.advance(order.order_id, m.Resubmitted(), now, detail="submitted again")
        return self._store.get(order.order_id)

    def _decide(self, order: Order, issuer: bytes, identity: IdentityPayload | None, stored: StoredItem) -> m.Item:
        now = self._clock()
        lock = self._layer2.lock_info(order.lock_ref)
        refusal = None
        if lock is not None and order.units > lock.mintable:
            words = f"{order.units} units are ordered, the lock gives {lock.mintable}"
            refusal = m.Refused("CapacityExceeded", words)
        elif now > order.deadline * 1000:
            refusal = m.Refused("OrderExpired", "the order's deadline has passed")
        if refusal is not None:
            return self._store.advance(order.order_id, refusal, now)
        self._store.advance(order.order_id, m.Verified(), now, detail="signature, lock and capacity hold")
        self._probe("order:verified")
        # The price is of the day the order came: the same question again must get the same answer.
        price = order.price(stored.created_ms)
        outcome = self._clearances.decide(order.for_gate(issuer), identity, price, now)
        self._probe("order:decided")
        return self._apply_outcome(order.order_id, outcome)

    def _apply_outcome(self, order_id: bytes, outcome: TransferOutcome) -> m.Item:
        decision, now = outcome.decision, self._clock()
        detail = f"{decision.value}, decision {outcome.record.decision_hash.hex()}"
        if outcome.clearance is not None:
            attachment = clearance_to_bytes(outcome.clearance)
            return self._store.advance(order_id, m.Cleared(), now, detail=detail, attachment=attachment)
        rules = _rules(outcome.findings)
        if decision is Decision.DENY:
            return self._store.advance(order_id, m.Refused(decision.value, rules), now, detail=f"{detail}: {rules}")
        actor = ISSUER if decision is Decision.NEEDS_INFO else COMPLIANCE
        return self._store.advance(order_id, m.Held(decision.value, rules, actor), now, detail=f"{detail}: {rules}")

    def _resume(self, stored: StoredItem) -> None:
        """An order whose submission was cut off: take up the gate's answer if it gave one, else ask the issuer again."""
        item = stored.item
        outcome = self._clearances.recall(item.item_id)
        if outcome is not None and item.state is m.State.VERIFIED:
            self._apply_outcome(item.item_id, outcome)
            return
        held = m.Held("IDENTITY_NEEDED", "the submission was cut off before a decision; submit the order again", ISSUER)
        self._store.advance(item.item_id, held, self._clock())

    def trace(self, id_or_prefix: bytes, caller: bytes = IN_PROCESS) -> TraceReport:
        """Where something stands. A caller sees what it submitted. Raises `NotFound`, `Rejected("AMBIGUOUS_ID")`."""
        if len(id_or_prefix) < MIN_PREFIX_BYTES:
            raise Rejected("BAD_ID", f"an id prefix has at least {MIN_PREFIX_BYTES} bytes")
        found = self._store.find_prefix(id_or_prefix)
        if len(found) > 1:
            raise Rejected("AMBIGUOUS_ID", "several ids begin like this", hint="give more of the id")
        stored = self._store.find(found[0]) if found else None
        if stored is None or not _may_see(caller, stored):
            raise NotFound("ITEM_UNKNOWN", "no packet or order of yours has this id", subject=id_or_prefix.hex())
        item = stored.item
        entries = self._store.outbox(item.item_id, only_open=False)
        tx_hash = item.intent.tx_hash if item.intent else (entries[-1].transaction.tx_hash if entries else None)
        return explain(item, tuple(self._store.steps(item.item_id)), tx_hash)

    def order_evidence(self, order_id: bytes) -> OrderEvidence:
        """Everything about an order that is final. Raises `NotFound`, `PreconditionFailed("NOT_FINAL")`."""
        stored = self._store.get(order_id)
        intent, block = stored.item.intent, stored.item.block_number
        if stored.item.state is not m.State.FINAL or intent is None or block is None or stored.attachment is None:
            raise PreconditionFailed(
                "NOT_FINAL", "only an order that this node minted finally has evidence", subject=order_id.hex()
            )
        order = decode_order(stored.content)
        lock = self._store.newest_final(_lane(_LOCK, order.lock_ref), block)
        asset_ref = decode_claim(lock.claim).envelope.asset_ref
        others = [self._store.newest_final(_lane(kind, asset_ref), block) for kind in (_ASSET, _TELEMETRY)]
        outcome = self._clearances.recall(order_id)
        if outcome is None:
            raise NotFound("DECISION_UNKNOWN", "the gate's store has no decision of this order", subject=order_id.hex())
        return OrderEvidence(
            self._trust.genesis,
            (others[0], lock, others[1]),
            order,
            clearance_from_bytes(stored.attachment),
            outcome.record,
            self._executor.mined_hash(stored.item),
        )

    def tick(self) -> int:
        """One round of the executor; returns how many items moved."""
        return self._executor.tick()

    async def run(self, stop: asyncio.Event, *, idle_s: float = 0.05) -> None:
        """Tick until `stop` is set; a running tick is finished first."""
        while not stop.is_set():
            try:
                moved = await asyncio.to_thread(self.tick)
            except LianqiaoError as error:
                logger.error("delivery round failed", extra={"code": error.code})
                moved = 0
            except Exception:
                # Whoever still takes packets must go on delivering them: a round that broke is followed by another.
                logger.exception("delivery round broke")
                moved = 0
            if not moved:
                try:
                    await asyncio.wait_for(stop.wait(), idle_s)
                except TimeoutError:
                    continue

    async def wait_done(self, item_id: bytes, *, timeout_s: float) -> TraceReport:
        """Wait until an item is final, refused or held. Raises `TimeoutError`."""
        async with asyncio.timeout(timeout_s):
            while True:
                report = await asyncio.to_thread(self.trace, item_id)
                if report.done or report.state == m.State.HELD.value:
                    return report
                await asyncio.sleep(0.02)

    def run_until_idle(self, *, rounds: int = 10_000) -> None:
        """Tick until nothing moves any more: for callers without an event loop on networks that are final at once."""
        for _ in range(rounds):
            if not self.tick():
                return

    def counts(self) -> dict[tuple[str, str], int]:
        """Number of items by kind and state."""
        return self._store.counts()


_ASSET, _LOCK, _TELEMETRY = b"asset:", b"lock:", b"telemetry:"


def _lane(kind: bytes, reference: bytes) -> bytes:
    return kind + reference


def _lane_of(claim: Claim) -> bytes:
    """The series a claim belongs to: claims of one series are proven in the order of the log."""
    if isinstance(claim, UnitLockClaim):
        return _lane(_LOCK, claim.lock_ref)
    return _lane(_ASSET if isinstance(claim, AssetClaim) else _TELEMETRY, claim.envelope.asset_ref)


def _may_see(caller: bytes, stored: StoredItem) -> bool:
    # An equivocation concerns everybody: it stops all of them, and its evidence is meant to be published.
    return caller in (IN_PROCESS, stored.submitter) or stored.item.kind is m.Kind.EQUIVOCATION


def _rules(findings: tuple[Finding, ...]) -> str:
    """The rules that speak against an order: ids and places, never values."""
    against = [f for f in findings if f.severity is not Decision.ALLOW]
    return ", ".join(sorted({f"{f.rule_id} ({f.severity.value})" for f in against}))


def _submission(item: m.Item) -> Submission:
    return Submission(item.item_id, item.state.value, f"{item.reason_code}: {item.reason}" if item.reason_code else "")
