"""The export policy: data on the ledger that says, per record type and field, what happens on the way out."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from lianqiao_base.errors import Rejected
from mainland_chain.crypto import sm2
from mainland_chain.light.claims import Transform, destination_id
from mainland_chain.records.schemas import FieldType, Grade, schema

_ALLOWED: dict[FieldType, frozenset[Transform]] = {
    FieldType.INTEGER: frozenset({Transform.KEEP, Transform.ROUND, Transform.BUCKET, Transform.PSEUDONYM}),
    FieldType.TEXT: frozenset({Transform.KEEP, Transform.PSEUDONYM}),
    FieldType.DATE: frozenset({Transform.KEEP, Transform.ROUND}),
    FieldType.DIVISION: frozenset({Transform.KEEP, Transform.REGION, Transform.PSEUDONYM}),
    FieldType.BYTES: frozenset({Transform.KEEP, Transform.PSEUDONYM}),
    FieldType.READING: frozenset({Transform.SUM, Transform.COUNT, Transform.MIN, Transform.MAX}),
}
_WITH_PARAMETER = frozenset(
    {
        (FieldType.INTEGER, Transform.ROUND),
        (FieldType.INTEGER, Transform.BUCKET),
        (FieldType.READING, Transform.SUM),
        (FieldType.READING, Transform.MIN),
        (FieldType.READING, Transform.MAX),
    }
)
MIN_READINGS = 2
"""A sum or an extreme of one reading is that reading: no policy may allow it."""


@dataclass(frozen=True, slots=True)
class FieldRule:
    record_type: str
    field: str
    transform: Transform
    parameter: int
    """Step of `round`, width of `bucket`, least number of readings of `sum`, `min` and `max`; 0 elsewhere."""


@dataclass(frozen=True, slots=True)
class ExportDestination:
    destination: bytes
    """`keccak(abi(l2_chain_id, mint_controller))`."""
    l2_chain_id: int
    mint_controller: bytes
    pseudonym_key: bytes
    """32 bytes; never leaves the ledger's nodes."""


@dataclass(frozen=True, slots=True)
class ExportPolicy:
    """Anything that no rule names is dropped."""

    version: int
    effective_from_ms: int
    effective_to_ms: int
    destinations: tuple[ExportDestination, ...]
    gate_keys: tuple[bytes, ...]
    rules: tuple[FieldRule, ...]

    def in_force(self, now_ms: int) -> bool:
        """From `effective_from_ms` (inclusive) to `effective_to_ms` (exclusive)."""
        return self.effective_from_ms <= now_ms < self.effective_to_ms

    def destination(self, destination: bytes) -> ExportDestination | None:
        return next((d for d in self.destinations if d.destination == destination), None)

    def rule(self, record_type: str, field: str) -> FieldRule | None:
        """None means: dropped."""
        return next((r for r in self.rules if r.record_type == record_type and r.field == field), None)


def check_policy(policy: ExportPolicy) -> None:
    """Raise `Rejected` with code POLICY_INTERVAL, POLICY_DESTINATION, POLICY_GATE or POLICY_RULE for a policy that makes no sense."""
    if policy.effective_from_ms >= policy.effective_to_ms:
        raise Rejected("POLICY_INTERVAL", "the policy ends before it begins")
    ids = [d.destination for d in policy.destinations]
    if not ids or any(a >= b for a, b in itertools.pairwise(ids)):
        raise Rejected("POLICY_DESTINATION", "destinations must be present, sorted and distinct")
    for d in policy.destinations:
        if len(d.pseudonym_key) != 32 or len(d.mint_controller) != 20:
            raise Rejected("POLICY_DESTINATION", "a key has 32 bytes, a controller 20", subject=d.destination.hex())
        if d.destination != destination_id(d.l2_chain_id, d.mint_controller):
            raise Rejected(
                "POLICY_DESTINATION", "the id is not that of chain and controller", subject=d.destination.hex()
            )
    if len({d.pseudonym_key for d in policy.destinations}) != len(policy.destinations):
        raise Rejected("POLICY_DESTINATION", "two destinations with one key could link their pseudonyms")
    if not policy.gate_keys or len(set(policy.gate_keys)) != len(policy.gate_keys):
        raise Rejected("POLICY_GATE", "at least one gate key, each once")
    if not all(sm2.public_key_is_valid(k) for k in policy.gate_keys):
        raise Rejected("POLICY_GATE", "a gate key is not a point of the SM2 curve")
    keys = [(r.record_type, r.field) for r in policy.rules]
    if any(a >= b for a, b in itertools.pairwise(keys)):
        raise Rejected("POLICY_RULE", "rules must be sorted by record type and field, one per field")
    for rule in policy.rules:
        _check_rule(rule)


def _check_rule(rule: FieldRule) -> None:
    subject = f"{rule.record_type}.{rule.field}"
    try:
        field = schema(rule.record_type).field(rule.field)
    except Rejected as error:
        raise Rejected("POLICY_RULE", error.message, subject=subject) from error
    if field.grade is Grade.HIGH:
        raise Rejected(
            "POLICY_RULE", "a field of grade high is not on the ledger and cannot be exported", subject=subject
        )
    if rule.transform not in _ALLOWED[field.type]:
        raise Rejected("POLICY_RULE", f"{rule.transform.name} does not apply to type {field.type}", subject=subject)
    if ((field.type, rule.transform) in _WITH_PARAMETER) != (rule.parameter > 0):
        raise Rejected("POLICY_RULE", "the parameter is missing or not wanted here", subject=subject)
    if field.type is FieldType.READING and rule.transform is not Transform.COUNT and rule.parameter < MIN_READINGS:
        raise Rejected("POLICY_RULE", f"an aggregate needs at least {MIN_READINGS} readings", subject=subject)
