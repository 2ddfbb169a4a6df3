"""The transfer gate: decides, keeps record and personal data in the Hong Kong store, and signs the clearance on ALLOW.

One order id, one order: the terms (lock, parties, units, deadline) never change under it. ALLOW and DENY are final for
an id and its inputs; HOLD and NEEDS_INFO are decided again when asked again, for lists get refreshed and data
completed. An unchanged answer gives the stored record back instead of a new one. An ALLOW whose clearance has expired
is decided anew.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import cast

from compliance.evidence.model import SALT_BYTES, Decision, DecisionRecord, Finding, Zone, hash_inputs
from compliance.evidence.policy import Policy
from compliance.evidence.rules import RulePack, load_rule_pack
from compliance.evidence.store import DecisionStore, PersonalInput, StoredDecision
from compliance.transfer.address import parse_address
from compliance.transfer.clearance import Clearance, SignedClearance, domain_separator
from compliance.transfer.decide import TRANSFER_POLICIES, decide, screen
from compliance.transfer.ivms import IdentityPayload
from compliance.transfer.model import ScreeningSettings, TransferContext, TransferOrder, UnitPrice
from compliance.transfer.sanctions import ListSource
from compliance.transfer.signer import ClearanceSigner
from lianqiao_base import canonical
from lianqiao_base.canonical import Json
from lianqiao_base.errors import AlreadyExists, NotFound, PreconditionFailed, Rejected

KIND = "transfer"
_FINAL = frozenset({Decision.ALLOW, Decision.DENY})


def default_rules() -> RulePack:
    """The rule pack that ships with the gate."""
    return load_rule_pack(resources.files("compliance.transfer").joinpath("data/travel_rule.toml").read_bytes())


@dataclass(frozen=True, slots=True)
class TransferOutcome:
    """What the gate decided. `clearance` is there exactly when the decision is ALLOW."""

    record: DecisionRecord
    clearance: SignedClearance | None

    @property
    def decision(self) -> Decision:
        """The decision."""
        return self.record.decision

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything the policies saw."""
        return self.record.findings

    def require_clearance(self) -> SignedClearance:
        """The clearance. Raises `PreconditionFailed("TRANSFER_NOT_CLEARED")` with the findings otherwise."""
        if self.clearance is None:
            against = [finding for finding in self.findings if finding.severity is not Decision.ALLOW]
            raise PreconditionFailed(
                "TRANSFER_NOT_CLEARED",
                f"{self.decision.value}: " + "; ".join(f"{f.rule_id} {f.path}: {f.message}" for f in against),
                subject=self.record.subject,
                hint="complete the data, or ask the compliance officer about the decision record",
                data={"decision": self.decision.value, "decision_hash": self.record.decision_hash.hex()},
            )
        return self.clearance


class TransferGate:
    """Hong Kong gate for one MintController.

    `lifetime_s` bounds a clearance (seconds); signers sign in rising address order.
    """

    def __init__(
        self,
        *,
        signers: Sequence[ClearanceSigner],
        chain_id: int,
        controller: bytes,
        store: DecisionStore,
        lists: ListSource,
        screening: ScreeningSettings,
        rules: RulePack,
        lifetime_s: int = 3600,
        policies: Policy[TransferContext] = TRANSFER_POLICIES,
    ) -> None:
        addresses = {signer.address for signer in signers}
        if not signers or len(addresses) != len(signers):
            raise Rejected("TRANSFER_GATE_MISCONFIGURED", "at least one clearance signer, and none twice")
        if lifetime_s <= 0 or screening.max_age_days < 0:
            raise Rejected("TRANSFER_GATE_MISCONFIGURED", "lifetime and list age are positive")
        domain_separator(chain_id, controller)  # refuses a malformed chain id or controller
        self._signers = sorted(signers, key=lambda signer: signer.address)
        self._chain_id = chain_id
        self._controller = controller
        self._store = store
        self._lists = lists
        self._screening = screening
        self._rules = rules
        self._lifetime_s = lifetime_s
        self._policies = policies

    def decide(
        self, order: TransferOrder, identity: IdentityPayload | None, price: UnitPrice | None, now_ms: int
    ) -> TransferOutcome:
        """Decide about one order and, on ALLOW, sign. Record, personal data and clearance are stored in one
        transaction.

        Plan: (1) the id's earlier decision, if any, must be about the same order; (2) a final one is given back for the
        same inputs and refused for others; (3) decide; (4) an unchanged open answer is given back; (5) otherwise append
        and sign. Raises `AlreadyExists("ORDER_DIFFERS")`.
        """
        lists = self._lists.current()
        context = TransferContext(order, price, identity, lists, self._screening, self._rules, now_ms)
        content = None if identity is None else identity.to_json()
        price_json = None if price is None else price.to_json()
        subject = f"order:{order.order_id.hex()}"
        terms: Mapping[str, Json] = {
            "chain_id": str(self._chain_id),
            "controller": self._controller.hex(),
            "order": order.to_json(),
        }
        with self._store.transaction(Zone.HONGKONG) as transaction:
            earlier = transaction.latest(KIND, subject)
            same = False
            if earlier is not None:
                if any(earlier.inputs[name] != value for name, value in terms.items()):
                    raise _differs(subject, "another order was decided under this id")
                same = earlier.inputs["price"] == price_json and transaction.matches(earlier, "identity", content)
                if earlier.record.decision in _FINAL and not _expired(earlier, now_ms):
                    if not same:
                        raise _differs(subject, "the decision about this order is final and its inputs were others")
                    return _outcome(earlier)
            decision, findings = decide(context, self._policies)
            packs = (self._rules.ref, *(entry.ref for entry in lists))
            unchanged = earlier is not None and (earlier.record.findings, earlier.record.rule_packs) == (
                findings,
                packs,
            )
            if earlier is not None and same and unchanged and earlier.record.decision not in _FINAL:
                return _outcome(earlier)
            personal = PersonalInput("identity", secrets.token_bytes(SALT_BYTES), content)
            inputs: Mapping[str, Json] = {
                **terms,
                "commitments": {personal.name: personal.commitment.hex()},
                "price": price_json,
                "screening": self._screening.to_json(),
            }
            sequence, previous = transaction.head()
            record = DecisionRecord(
                zone=Zone.HONGKONG,
                sequence=sequence,
                kind=KIND,
                subject=subject,
                decision=decision,
                findings=findings,
                rule_packs=packs,
                inputs_hash=hash_inputs(inputs),
                decided_at_ms=now_ms,
                previous_hash=previous,
                salt=secrets.token_bytes(SALT_BYTES),
            )
            signed = self._sign(order, record.decision_hash, now_ms) if decision is Decision.ALLOW else None
            artefact = None if signed is None else clearance_to_bytes(signed)
            return _outcome(transaction.append(record, inputs, (personal,), artefact))

    def screen_address(self, address: bytes, now_ms: int) -> tuple[Finding, ...]:
        """Findings about one address against the lists in use. Nothing is recorded."""
        rule = self._rules.in_force("HK-SANCTIONS", now_ms)
        if rule is None:
            raise PreconditionFailed("RULE_NOT_IN_FORCE", "no version of HK-SANCTIONS is in force")
        return screen(address, "address", self._lists.current(), self._screening, now_ms, rule)

    def find(self, decision_hash: bytes) -> TransferOutcome:
        """A stored decision without its personal data. Raises `NotFound("DECISION_UNKNOWN")`."""
        with self._store.transaction(Zone.HONGKONG) as transaction:
            stored = transaction.find(decision_hash)
        if stored is None:
            raise NotFound("DECISION_UNKNOWN", "no decision has this hash", subject=decision_hash.hex())
        return _outcome(stored)

    def _sign(self, order: TransferOrder, decision_hash: bytes, now_ms: int) -> SignedClearance:
        expiry = min(now_ms // 1000 + self._lifetime_s, order.deadline)
        clearance = Clearance(order.order_id, order.lock_ref, order.recipient, order.units, decision_hash, expiry)
        digest = clearance.digest(self._chain_id, self._controller)
        return SignedClearance(clearance, tuple(signer.sign_digest(digest) for signer in self._signers))


def clearance_to_bytes(signed: SignedClearance) -> bytes:
    """Canonical JSON of a signed clearance."""
    clearance = signed.clearance
    return canonical.dumps(
        {
            "decision_hash": clearance.decision_hash.hex(),
            "expiry": clearance.expiry,
            "lock_ref": clearance.lock_ref.hex(),
            "order_id": clearance.order_id.hex(),
            "recipient": "0x" + clearance.recipient.hex(),
            "signatures": [signature.hex() for signature in signed.signatures],
            "units": str(clearance.units),
        }
    )


def clearance_from_bytes(body: bytes) -> SignedClearance:
    """Inverse of `clearance_to_bytes`. Raises `Rejected("CLEARANCE_INVALID")`."""
    try:
        raw = cast("dict[str, str]", canonical.loads_strict(body))
        clearance = Clearance(
            order_id=bytes.fromhex(raw["order_id"]),
            lock_ref=bytes.fromhex(raw["lock_ref"]),
            recipient=parse_address(raw["recipient"]),
            units=int(raw["units"]),
            decision_hash=bytes.fromhex(raw["decision_hash"]),
            expiry=int(raw["expiry"]),
        )
        return SignedClearance(clearance, tuple(bytes.fromhex(signature) for signature in raw["signatures"]))
    except (KeyError, TypeError, ValueError, Rejected) as error:
        raise Rejected("CLEARANCE_INVALID", "not a signed clearance") from error


def _outcome(stored: StoredDecision) -> TransferOutcome:
    return TransferOutcome(stored.record, None if stored.artefact is None else clearance_from_bytes(stored.artefact))


def _expired(stored: StoredDecision, now_ms: int) -> bool:
    return stored.artefact is not None and clearance_from_bytes(stored.artefact).clearance.expiry * 1000 <= now_ms


def _differs(subject: str, problem: str) -> AlreadyExists:
    return AlreadyExists("ORDER_DIFFERS", problem, subject=subject, hint="use a new order id for a new order")
