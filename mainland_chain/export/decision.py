"""The export gate's signed answer: what may leave, to whom, until when (docs/protocol.md §1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lianqiao_base import canonical
from lianqiao_base.errors import Rejected
from mainland_chain.crypto import sm2
from mainland_chain.crypto.sm3 import sm3, tag

CLAIM_KINDS = ("AssetClaim", "TelemetryClaim", "UnitLockClaim")
LEDGERS_OWN = frozenset({"approval_expiry_ms", "cumulative_energy_wh", "flagged_count"})
"""Numbers that only the ledger knows when it logs a claim; a gate cannot have seen them."""


def values_hash(values: Iterable[tuple[str, str]]) -> bytes:
    """32 bytes over the (name, value) pairs that a claim shows, in the claim's order, without those that are the ledger's own.

    The gate takes it over what it looked at, the ledger over what it would log: so nobody can show the gate something else.
    """
    shown = [[name, value] for name, value in values if name not in LEDGERS_OWN]
    return sm3(tag("lianqiao.claim-values.v1") + canonical.dumps(shown))


@dataclass(frozen=True, slots=True)
class ExportDecision:
    """One decision about one request. Times in ms UTC, hashes and ids of 32 bytes."""

    verdict: str
    """Only "ALLOW" can be used on the ledger."""
    claim_kind: str
    record_ids: tuple[bytes, ...]
    fields: tuple[str, ...]
    destination: bytes
    policy_version: int
    filing_reference: str
    """The securities regulator's filing that the export rests on."""
    approval_reference: str
    """Data-export approval, filing or contract."""
    approval_valid_until_ms: int
    values_hash: bytes
    """Hash of the values that the gate looked at (`values_hash`): the ledger logs no other."""
    decision_hash: bytes
    """Hash of the gate's decision record."""
    issued_at_ms: int
    valid_until_ms: int

    def canonical_bytes(self) -> bytes:
        return canonical.dumps(
            {
                "approval_reference": self.approval_reference,
                "approval_valid_until_ms": self.approval_valid_until_ms,
                "claim_kind": self.claim_kind,
                "decision_hash": self.decision_hash.hex(),
                "destination": self.destination.hex(),
                "fields": list(self.fields),
                "filing_reference": self.filing_reference,
                "issued_at_ms": self.issued_at_ms,
                "policy_version": self.policy_version,
                "record_ids": [r.hex() for r in self.record_ids],
                "valid_until_ms": self.valid_until_ms,
                "values_hash": self.values_hash.hex(),
                "verdict": self.verdict,
            }
        )

    def signing_message(self, chain_id: bytes) -> bytes:
        """What the gate signs: `tag ‖ chain_id ‖ canonical JSON`."""
        return tag("lianqiao.export-decision.v1") + chain_id + self.canonical_bytes()


@dataclass(frozen=True, slots=True)
class SignedExportDecision:
    """A decision, the gate's public key (64 bytes) and its SM2 signature (64 bytes)."""

    decision: ExportDecision
    gate_public_key: bytes
    signature: bytes

    def verify(self, chain_id: bytes) -> None:
        """Raise `Rejected("BAD_DECISION_SIGNATURE")` unless the named gate signed this decision for this ledger."""
        if not sm2.verify(self.gate_public_key, self.decision.signing_message(chain_id), self.signature):
            raise Rejected(
                "BAD_DECISION_SIGNATURE",
                "the export decision is not signed by the gate it names",
                subject=self.decision.decision_hash.hex(),
            )
