"""What the export gate looks at:

the request, the ledger's policy, the registered approval, and the values that would leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from compliance.evidence.rules import RulePack
from lianqiao_base.canonical import Json
from lianqiao_base.errors import Rejected

CLAIM_KINDS = frozenset({"AssetClaim", "TelemetryClaim", "UnitLockClaim"})


@dataclass(frozen=True, slots=True)
class ExportedValue:
    """One value as the claim would show it. Never in a repr: until it is scanned it may be personal.

    `counted` is true only for what the claim itself counts or sums (energy, units, readings, times): such a value must
    be a decimal integer, and a mere resemblance to a mobile number is then no finding; a number with a valid check
    digit still is.
    """

    name: str
    value: str = field(repr=False)
    counted: bool = False


@dataclass(frozen=True, slots=True)
class ExportFacts:
    """A request for one export claim. Ids and hashes are 32 bytes. Raises `Rejected("EXPORT_REQUEST_INVALID")`."""

    claim_kind: str
    record_ids: tuple[bytes, ...]
    fields: tuple[str, ...]
    destination: bytes
    policy_version: int
    filing_reference: str
    approval_reference: str
    values: tuple[ExportedValue, ...]

    def __post_init__(self) -> None:
        if self.claim_kind not in CLAIM_KINDS:
            raise _invalid("unknown kind of claim", "claim_kind")
        if len(self.destination) != 32 or any(len(record_id) != 32 for record_id in self.record_ids):
            raise _invalid("ids and destination are 32 bytes", "record_ids")
        if not self.record_ids or len(set(self.record_ids)) != len(self.record_ids):
            raise _invalid("a request names at least one record and none twice", "record_ids")
        if len(set(self.fields)) != len(self.fields):
            raise _invalid("a request names no field twice", "fields")
        if self.policy_version < 0:
            raise _invalid("policy versions are not negative", "policy_version")

    def to_json(self) -> dict[str, Json]:
        """The public part: everything but the values."""
        return {
            "approval_reference": self.approval_reference,
            "claim_kind": self.claim_kind,
            "destination": self.destination.hex(),
            "fields": list(self.fields),
            "filing_reference": self.filing_reference,
            "policy_version": self.policy_version,
            "record_ids": [record_id.hex() for record_id in self.record_ids],
        }


@dataclass(frozen=True, slots=True)
class PolicyView:
    """What the gate needs of the export policy on the ledger. Times are ms UTC; `effective_to_ms` is exclusive, None is
    open.

    `fields` gives, per kind of claim, the fields the policy lets out; `destinations` the 32-byte destinations it names.
    """

    version: int
    effective_from_ms: int
    effective_to_ms: int | None
    destinations: frozenset[bytes]
    fields: Mapping[str, frozenset[str]]

    def to_json(self) -> dict[str, Json]:
        """Canonical form."""
        return {
            "destinations": sorted(destination.hex() for destination in self.destinations),
            "effective_from_ms": self.effective_from_ms,
            "effective_to_ms": self.effective_to_ms,
            "fields": {kind: sorted(names) for kind, names in self.fields.items()},
            "version": self.version,
        }


@dataclass(frozen=True, slots=True)
class ExportApproval:
    """A registered approval to export:

    its scope and validity (ms UTC, end exclusive), and the SHA-256 of its document.
    """

    reference: str
    claim_kinds: frozenset[str]
    destinations: frozenset[bytes]
    valid_from_ms: int
    valid_until_ms: int
    document_sha256: bytes

    def to_json(self) -> dict[str, Json]:
        """Canonical form."""
        return {
            "claim_kinds": sorted(self.claim_kinds),
            "destinations": sorted(destination.hex() for destination in self.destinations),
            "document_sha256": self.document_sha256.hex(),
            "reference": self.reference,
            "valid_from_ms": self.valid_from_ms,
            "valid_until_ms": self.valid_until_ms,
        }


class ApprovalRegister(Protocol):
    """Where approvals are registered; a requester names one and cannot bring his own."""

    def find(self, reference: str) -> ExportApproval | None:
        """The approval registered under `reference`."""
        ...


@dataclass(frozen=True, slots=True)
class ConfiguredApprovals:
    """Approvals given by the gate's configuration. Raises `Rejected("EXPORT_APPROVAL_DUPLICATE")`."""

    approvals: tuple[ExportApproval, ...]

    def __post_init__(self) -> None:
        if len({approval.reference for approval in self.approvals}) != len(self.approvals):
            raise Rejected("EXPORT_APPROVAL_DUPLICATE", "two approvals have one reference")

    def find(self, reference: str) -> ExportApproval | None:
        """The approval registered under `reference`."""
        return next((approval for approval in self.approvals if approval.reference == reference), None)


@dataclass(frozen=True, slots=True)
class ExportContext:
    """Everything one decision depends on. `approval` is what the register holds under the request's reference."""

    facts: ExportFacts
    policy: PolicyView
    approval: ExportApproval | None
    rules: RulePack
    now_ms: int


def _invalid(problem: str, path: str) -> Rejected:
    return Rejected("EXPORT_REQUEST_INVALID", problem, subject=path)
