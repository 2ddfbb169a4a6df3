"""Where a packet, an order or a report of an equivocation stands, why, what comes next and who has to act: in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.delivery.machine import Item, Kind, State
from bridge.delivery.store import Step


@dataclass(frozen=True, slots=True)
class TraceReport:
    """What `lianqiao trace` shows. Ids and hashes in bytes, times in ms UTC."""

    item_id: bytes
    kind: str
    state: str
    reason_code: str
    reason: str
    next_action: str
    steps: tuple[Step, ...]
    l2_transaction_hash: bytes | None
    next_attempt_ms: int

    @property
    def done(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in (State.FINAL.value, State.REFUSED.value)


def explain(item: Item, steps: tuple[Step, ...], l2_transaction_hash: bytes | None) -> TraceReport:
    """The report on an item."""
    return TraceReport(
        item.item_id,
        item.kind.value,
        item.state.value,
        item.reason_code,
        item.reason,
        next_action(item),
        steps,
        l2_transaction_hash,
        item.next_attempt_ms,
    )


def next_action(item: Item) -> str:
    """What happens next, and who has to act."""
    if item.reason_code and item.state not in (State.HELD, State.REFUSED):
        who = f"; {item.actor} can end the wait" if item.actor else ""
        return f"this node tries again by itself{who}"
    match item.state:
        case State.RECEIVED | State.VERIFIED if item.kind is Kind.ORDER:
            return "the transfer gate decides; if this stays, the issuer submits the order again"
        case State.RECEIVED:
            return "this node verifies it"
        case State.VERIFIED | State.CLEARED:
            return "this node prepares the next transaction"
        case State.HELD:
            return f"{item.actor or 'the submitter'} has to act, then it is submitted again"
        case State.REFUSED:
            return "nothing: it is never carried out; a corrected one needs a new id"
        case State.INTENDED:
            return "this node sends the stored transaction"
        case State.FINAL if item.kind is Kind.EQUIVOCATION:
            return "nothing by this node: the light client is frozen until the members have settled which history holds"
        case State.SENT:
            return "the L2 includes the transaction"
        case State.MINED:
            return "the L2 reaches the network's finality"
    return "nothing: it is done"
