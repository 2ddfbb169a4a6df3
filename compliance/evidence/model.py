"""Decision records: what was decided, on which rules, on which inputs, in an order that cannot be changed unnoticed.

One hash for both zones, SHA-256 with a domain prefix: it needs no SM library on the Hong Kong side and no Keccak on the
mainland side, and no contract recomputes it (contracts and claims carry it as an opaque `bytes32`). Each record holds
32 random bytes of its own, and personal inputs enter only as salted commitments, so a published decision hash can
neither be read nor guessed back.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast

from lianqiao_base import canonical
from lianqiao_base.canonical import Json
from lianqiao_base.errors import Fatal, Rejected

HASH_BYTES = 32
SALT_BYTES = 32
DECISION_DOMAIN = b"lianqiao.decision.v1"
INPUTS_DOMAIN = b"lianqiao.decision-inputs.v1"
COMMITMENT_DOMAIN = b"lianqiao.commitment.v1"
CHAIN_DOMAIN = b"lianqiao.decision-chain.v1"

_SUBJECT = re.compile(r"[a-z][a-z-]{0,31}:[0-9A-Za-z._-]{1,200}")
_KIND = re.compile(r"[a-z][a-z-]{0,31}")


class Zone(StrEnum):
    """Where a decision was taken; each zone has a chain of records of its own."""

    MAINLAND = "mainland"
    HONGKONG = "hongkong"


class Decision(StrEnum):
    """Outcome of a gate. A worse one dominates: DENY over HOLD over NEEDS_INFO over ALLOW."""

    ALLOW = "ALLOW"
    NEEDS_INFO = "NEEDS_INFO"
    HOLD = "HOLD"
    DENY = "DENY"

    @property
    def rank(self) -> int:
        """0 (ALLOW) to 3 (DENY)."""
        return _RANK[self]


_RANK = {Decision.ALLOW: 0, Decision.NEEDS_INFO: 1, Decision.HOLD: 2, Decision.DENY: 3}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule saw. `severity` is the decision this finding asks for (ALLOW: the rule ran and is content).

    `path` says where in the request, `evidence` names the list entry or article behind it. Neither they nor `message`
    ever hold a personal value; a detector gives a masked excerpt.
    """

    rule_id: str
    severity: Decision
    message: str
    path: str = ""
    evidence: str = ""

    def to_json(self) -> dict[str, Json]:
        """Canonical form."""
        return {
            "evidence": self.evidence,
            "message": self.message,
            "path": self.path,
            "rule_id": self.rule_id,
            "severity": self.severity.value,
        }


@dataclass(frozen=True, slots=True)
class RulePackRef:
    """A rule pack or list as it was used: its name, version (or as-of date) and the SHA-256 of its bytes."""

    name: str
    version: str
    sha256: bytes

    def to_json(self) -> dict[str, Json]:
        """Canonical form."""
        return {"name": self.name, "sha256": self.sha256.hex(), "version": self.version}


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One link of a zone's chain of decisions.

    `sequence` counts from 0 in the zone. `subject` is an opaque reference such as `order:0x…`, never a person.
    `inputs_hash` is that of the inputs document (`hash_inputs`). `salt` is 32 random bytes. `decided_at_ms` is UTC.
    Raises `Rejected("DECISION_INVALID")`.
    """

    zone: Zone
    sequence: int
    kind: str
    subject: str
    decision: Decision
    findings: tuple[Finding, ...]
    rule_packs: tuple[RulePackRef, ...]
    inputs_hash: bytes
    decided_at_ms: int
    previous_hash: bytes
    salt: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if self.sequence < 0 or self.decided_at_ms < 0:
            raise Rejected("DECISION_INVALID", "sequence and time are not negative", subject=self.kind)
        if not _KIND.fullmatch(self.kind):
            raise Rejected("DECISION_INVALID", "kind is lower-case letters and dashes")
        if not _SUBJECT.fullmatch(self.subject):
            raise Rejected(
                "DECISION_INVALID", "subject must be an opaque reference `kind:identifier`", subject=self.kind
            )
        if any(len(value) != HASH_BYTES for value in (self.inputs_hash, self.previous_hash, self.salt)):
            raise Rejected("DECISION_INVALID", "hashes and salt are 32 bytes", subject=self.kind)
        if self.decision is not conclude(self.findings):
            raise Rejected("DECISION_INVALID", "the decision is not the one its findings lead to", subject=self.subject)

    def to_json(self) -> dict[str, Json]:
        """Canonical form: the hashed content."""
        return {
            "decided_at_ms": self.decided_at_ms,
            "decision": self.decision.value,
            "findings": [finding.to_json() for finding in self.findings],
            "inputs_hash": self.inputs_hash.hex(),
            "kind": self.kind,
            "previous_hash": self.previous_hash.hex(),
            "rule_packs": [pack.to_json() for pack in self.rule_packs],
            "salt": self.salt.hex(),
            "sequence": self.sequence,
            "subject": self.subject,
            "version": 1,
            "zone": self.zone.value,
        }

    def to_bytes(self) -> bytes:
        """Canonical JSON (RFC 8785)."""
        return canonical.dumps(self.to_json())

    @property
    def decision_hash(self) -> bytes:
        """`SHA-256("lianqiao.decision.v1" ‖ 0x00 ‖ canonical JSON)`: the 32 bytes that claims and clearances carry."""
        return _tagged(DECISION_DOMAIN, self.to_bytes())


def conclude(findings: Iterable[Finding]) -> Decision:
    """The decision that findings lead to: the worst severity; DENY when nothing was examined (fails closed)."""
    return max((finding.severity for finding in findings), key=lambda severity: severity.rank, default=Decision.DENY)


def commit(salt: bytes, value: Json) -> bytes:
    """Salted commitment to a personal input. `salt` is 32 random bytes that never leave the zone's store."""
    if len(salt) != SALT_BYTES:
        raise Rejected("DECISION_INVALID", "a commitment's salt is 32 bytes")
    return _tagged(COMMITMENT_DOMAIN, salt + canonical.dumps(value))


def hash_inputs(inputs: Mapping[str, Json]) -> bytes:
    """Hash of an inputs document: public facts in clear, personal ones as commitments."""
    return _tagged(INPUTS_DOMAIN, canonical.dumps(inputs))


def chain_start(zone: Zone) -> bytes:
    """`previous_hash` of a zone's first record."""
    return _tagged(CHAIN_DOMAIN, zone.value.encode("ascii"))


def parse_record(body: bytes) -> DecisionRecord:
    """Read a record from its canonical bytes.

    Raises `Fatal("DECISION_RECORD_DAMAGED")` for anything else: it came from our own store.
    """
    try:
        raw = canonical.loads_strict(body)
        record = _from_json(cast("dict[str, Json]", raw))
        intact = record.to_bytes() == body
    except (Rejected, KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged() from error
    if not intact:
        raise _damaged()
    return record


def _damaged() -> Fatal:
    return Fatal(
        "DECISION_RECORD_DAMAGED",
        "a stored decision record cannot be read back",
        hint="restore the store from its backup and compare chain heads",
    )


def verify_chain(zone: Zone, records: Iterable[DecisionRecord]) -> bytes:
    """Check a whole chain from its start and return its head.

    Raises `Fatal("DECISION_CHAIN_BROKEN")` at the first break.
    """
    head = chain_start(zone)
    for expected, record in enumerate(records):
        if record.zone is not zone or record.sequence != expected or record.previous_hash != head:
            raise broken(zone, expected)
        head = record.decision_hash
    return head


def broken(zone: Zone, sequence: int) -> Fatal:
    """The error of a chain that does not link."""
    return Fatal(
        "DECISION_CHAIN_BROKEN",
        "the chain of decision records does not link: a record was changed, removed or inserted",
        subject=f"{zone.value}:{sequence}",
        hint="stop the gate, keep the store as evidence, compare it with the last anchored head",
        data={"zone": zone.value, "sequence": str(sequence)},
    )


def _tagged(domain: bytes, content: bytes) -> bytes:
    return hashlib.sha256(domain + b"\x00" + content).digest()


def _from_json(raw: dict[str, Json]) -> DecisionRecord:
    findings = cast("list[dict[str, str]]", raw["findings"])
    packs = cast("list[dict[str, str]]", raw["rule_packs"])
    return DecisionRecord(
        zone=Zone(cast("str", raw["zone"])),
        sequence=cast("int", raw["sequence"]),
        kind=cast("str", raw["kind"]),
        subject=cast("str", raw["subject"]),
        decision=Decision(cast("str", raw["decision"])),
        findings=tuple(
            Finding(item["rule_id"], Decision(item["severity"]), item["message"], item["path"], item["evidence"])
            for item in findings
        ),
        rule_packs=tuple(RulePackRef(item["name"], item["version"], bytes.fromhex(item["sha256"])) for item in packs),
        inputs_hash=bytes.fromhex(cast("str", raw["inputs_hash"])),
        decided_at_ms=cast("int", raw["decided_at_ms"]),
        previous_hash=bytes.fromhex(cast("str", raw["previous_hash"])),
        salt=bytes.fromhex(cast("str", raw["salt"])),
    )
