"""The life of an item of delivery, as a pure state machine: item + event -> item. Replayable; no clock, no I/O.

    received -> verified -> cleared | held | refused -> intended -> sent -> mined -> final

Packets need no clearance and may take several transactions (light client first, then the proof). So may the report of an
equivocation, which nobody can hold or refuse: it is tried until the light client is frozen. `refused` and `final` are
ends. What to do next follows from the item alone (`next_action`), so a restart needs nothing but the stored item.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from lianqiao_base.errors import PreconditionFailed

FIRST_RETRY_MS = 500
LONGEST_RETRY_MS = 60_000


class Kind(StrEnum):
    """What is being delivered."""

    PACKET = "packet"
    ORDER = "order"
    EQUIVOCATION = "equivocation"


class State(StrEnum):
    """Where it stands."""

    RECEIVED = "received"
    VERIFIED = "verified"
    CLEARED = "cleared"
    HELD = "held"
    REFUSED = "refused"
    INTENDED = "intended"
    SENT = "sent"
    MINED = "mined"
    FINAL = "final"


class Action(StrEnum):
    """What the executor does next with an item."""

    PLAN = "plan"
    SEND = "send"
    WATCH = "watch"
    AWAIT_FINALITY = "await finality"
    RESUME = "resume"
    NOTHING = "nothing"


ENDS = frozenset({State.REFUSED, State.FINAL})


@dataclass(frozen=True, slots=True)
class Intent:
    """A signed transaction that is stored and may be on its way."""

    label: str
    """Contract and function."""
    nonce: int
    tx_hash: bytes
    """Of the newest replacement."""
    last: bool
    """Whether its success completes the item."""


@dataclass(frozen=True, slots=True)
class Item:
    """One packet, order or report. `reason_code`, `reason` and `actor` say why it waits and who has to act."""

    item_id: bytes
    kind: Kind
    state: State = State.RECEIVED
    reason_code: str = ""
    reason: str = ""
    actor: str = ""
    attempts: int = 0
    """Failed attempts since the last progress."""
    next_attempt_ms: int = 0
    intent: Intent | None = None
    """Outstanding from `intended` until `final`; one at a time."""
    block_number: int | None = None
    """Block that holds the effect (mined), or in which another transaction took our nonce (sent)."""
    block_hash: bytes | None = None

    @property
    def ready_state(self) -> State:
        """The state in which the next transaction is planned."""
        return State.CLEARED if self.kind is Kind.ORDER else State.VERIFIED


@dataclass(frozen=True, slots=True)
class Verified:
    """All proofs and signatures hold."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """The transfer gate signed a clearance of this order."""


@dataclass(frozen=True, slots=True)
class Held:
    """Cannot go on until somebody submits it again."""

    code: str
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Will never be carried out."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resubmitted:
    """Came again, with what was missing."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now: try again at `next_attempt_ms`."""

    code: str
    reason: str
    actor: str
    next_attempt_ms: int


@dataclass(frozen=True, slots=True)
class Intended:
    """A transaction was signed; it is stored together with this event, before anything is sent."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A node has the transaction."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """Signed again at the same nonce for a higher fee."""

    tx_hash: bytes
    nonce: int


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The node refused the transaction and does not have it: its nonce is free again."""

    code: str
    reason: str
    next_attempt_ms: int


@dataclass(frozen=True, slots=True)
class NonceTaken:
    """Another transaction of the key used the nonce, as seen at this block."""

    block_number: int
    block_hash: bytes


@dataclass(frozen=True, slots=True)
class IntentLost:
    """It is final that another transaction used the nonce: ours can never be mined."""

    next_attempt_ms: int


@dataclass(frozen=True, slots=True)
class Mined:
    """The transaction succeeded in this block."""

    block_number: int
    block_hash: bytes


@dataclass(frozen=True, slots=True)
class Reverted:
    """The transaction was mined and failed; that is final, so that its nonce can never serve this item again."""

    code: str
    reason: str
    next_attempt_ms: int


@dataclass(frozen=True, slots=True)
class AlreadyDone:
    """The effect is on the chain already, as seen at this block."""

    block_number: int
    block_hash: bytes


@dataclass(frozen=True, slots=True)
class Reorged:
    """The block left the chain."""


@dataclass(frozen=True, slots=True)
class Finalised:
    """The network's finality rule covers the block."""


Event = (
    Verified | Cleared | Held | Refused | Resubmitted | Deferred | Intended | Broadcast | Replaced | Abandoned
    | NonceTaken | IntentLost | Mined | Reverted | AlreadyDone | Reorged | Finalised
)  # fmt: skip


class IllegalEvent(PreconditionFailed):
    """The event cannot happen to an item in this state; nothing was changed."""

    def __init__(self, item: Item, event: Event) -> None:
        super().__init__("ILLEGAL_EVENT", f"{type(event).__name__} in state {item.state}", subject=item.item_id.hex())


def backoff_ms(attempts: int) -> int:
    """Wait before the next attempt after `attempts` failed ones: doubles up to a minute."""
    return int(min(FIRST_RETRY_MS * 2 ** min(attempts, 16), LONGEST_RETRY_MS))


def apply(item: Item, event: Event) -> Item:
    """The item after the event. Raises `IllegalEvent`."""
    state, ready = item.state, item.ready_state
    match event:
        case Verified() if state is State.RECEIVED:
            return _progress(item, State.VERIFIED)
        case Cleared() if state is State.VERIFIED and item.kind is Kind.ORDER:
            return _progress(item, State.CLEARED)
        case Held() | Refused() | Resubmitted() if item.kind is Kind.EQUIVOCATION:
            raise IllegalEvent(item, event)
        case Held(code, reason, actor) if state in (State.RECEIVED, State.VERIFIED, ready):
            return replace(_progress(item, State.HELD), reason_code=code, reason=reason, actor=actor)
        case Refused(code, reason) if state in (State.RECEIVED, State.VERIFIED, State.HELD, ready):
            return replace(_progress(item, State.REFUSED), reason_code=code, reason=reason)
        case Resubmitted() if state in (State.RECEIVED, State.VERIFIED, State.HELD):
            return _progress(item, State.RECEIVED)
        case Deferred(code, reason, actor, at) if state not in ENDS:
            return replace(
                item, reason_code=code, reason=reason, actor=actor, attempts=item.attempts + 1, next_attempt_ms=at
            )
        case Intended(intent) if _may_intend(item):
            return replace(_progress(item, State.INTENDED), intent=intent, block_number=None, block_hash=None)
        case Broadcast() if state is State.INTENDED:
            return _progress(item, State.SENT)
        case Broadcast() if state is State.SENT:
            return item
        case Replaced(tx_hash, nonce) if state is State.SENT and item.intent and item.intent.nonce == nonce:
            return replace(item, intent=replace(item.intent, tx_hash=tx_hash))
        case Abandoned(code, reason, at) if state is State.INTENDED:
            return _back(item, code, reason, at)
        case NonceTaken(number, block_hash) if state in (State.INTENDED, State.SENT):
            return replace(item, state=State.SENT, block_number=number, block_hash=block_hash)
        case IntentLost(at) if state is State.SENT and item.block_hash is not None:
            return _back(item, "NONCE_TAKEN", "another transaction of this key used the nonce", at)
        case Mined(number, block_hash) if state in (State.INTENDED, State.SENT):
            return replace(_progress(item, State.MINED), block_number=number, block_hash=block_hash)
        case Reverted(code, reason, at) if state in (State.INTENDED, State.SENT):
            return _back(item, code, reason, at)
        case AlreadyDone(number, block_hash) if state is ready or _between_steps(item):
            return replace(_progress(item, State.MINED), intent=None, block_number=number, block_hash=block_hash)
        case Reorged() if state is State.MINED:
            # With an intent the same raw transaction is sent again; without one the plan is made anew.
            return replace(
                _progress(item, ready if item.intent is None else State.SENT), block_number=None, block_hash=None
            )
        case Reorged() if state is State.SENT:
            return replace(item, block_number=None, block_hash=None)
        case Finalised() if state is State.MINED and not _between_steps(item):
            return _progress(item, State.FINAL)
    raise IllegalEvent(item, event)


def next_action(item: Item) -> Action:
    """What moves the item on; `NOTHING` at an end, or when somebody else must act."""
    match item.state:
        case State.RECEIVED:
            return Action.RESUME if item.kind is Kind.ORDER else Action.NOTHING
        case State.VERIFIED:
            return Action.RESUME if item.kind is Kind.ORDER else Action.PLAN
        case State.CLEARED:
            return Action.PLAN
        case State.INTENDED:
            return Action.SEND
        case State.SENT:
            return Action.WATCH
        case State.MINED:
            return Action.PLAN if _between_steps(item) else Action.AWAIT_FINALITY
    return Action.NOTHING


def _may_intend(item: Item) -> bool:
    return item.state is item.ready_state or _between_steps(item)


def _between_steps(item: Item) -> bool:
    return item.state is State.MINED and item.intent is not None and not item.intent.last


def _progress(item: Item, state: State) -> Item:
    # Attempts count until something is mined: a transaction that fails again and again is tried ever more slowly.
    attempts = item.attempts if state in (State.INTENDED, State.SENT) else 0
    return replace(item, state=state, reason_code="", reason="", actor="", attempts=attempts, next_attempt_ms=0)


def _back(item: Item, code: str, reason: str, at: int) -> Item:
    return replace(
        item,
        state=item.ready_state,
        reason_code=code,
        reason=reason,
        actor="",
        attempts=item.attempts + 1,
        next_attempt_ms=at,
        intent=None,
        block_number=None,
        block_hash=None,
    )
