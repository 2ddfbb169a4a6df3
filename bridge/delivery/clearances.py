"""The transfer gate as delivery uses it, in the same process."""

from __future__ import annotations

from compliance.evidence.model import Zone
from compliance.evidence.store import DecisionStore
from compliance.transfer.gate import KIND, TransferGate, TransferOutcome, clearance_from_bytes
from compliance.transfer.ivms import IdentityPayload
from compliance.transfer.model import TransferOrder, UnitPrice


class GateClearances:
    """A gate and its store: the gate decides, the store remembers a decision whose answer was lost in a crash."""

    def __init__(self, gate: TransferGate, store: DecisionStore) -> None:
        self._gate = gate
        self._store = store

    def decide(
        self, order: TransferOrder, identity: IdentityPayload | None, price: UnitPrice | None, now_ms: int
    ) -> TransferOutcome:
        """Decide about one order; a repeated question gets the stored answer."""
        return self._gate.decide(order, identity, price, now_ms)

    def recall(self, order_id: bytes) -> TransferOutcome | None:
        """The stored decision about an order, if there is one."""
        with self._store.transaction(Zone.HONGKONG) as transaction:
            stored = transaction.latest(KIND, f"order:{order_id.hex()}")
        if stored is None:
            return None
        return TransferOutcome(
            stored.record, None if stored.artefact is None else clearance_from_bytes(stored.artefact)
        )
