"""The export gate: decides, keeps the record, and signs what the ledger may let out."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from compliance.evidence.model import SALT_BYTES, Decision, DecisionRecord, Finding, Zone, hash_inputs
from compliance.evidence.rules import RulePack, load_rule_pack
from compliance.evidence.store import DecisionStore, PersonalInput
from compliance.export.decide import decide
from compliance.export.model import ApprovalRegister, ExportContext, ExportFacts, PolicyView
from lianqiao_base import canonical
from lianqiao_base.canonical import Json
from lianqiao_base.errors import PreconditionFailed, Rejected
from mainland_chain.crypto.protocols import Signer, sign
from mainland_chain.export.decision import ExportDecision, SignedExportDecision, values_hash

KIND = "export"


def default_rules() -> RulePack:
    """The rule pack that ships with the gate."""
    return load_rule_pack(resources.files("compliance.export").joinpath("data/export_rules.toml").read_bytes())


@dataclass(frozen=True, slots=True)
class ExportOutcome:
    """What the gate decided. `signed` is there exactly when the decision is ALLOW."""

    record: DecisionRecord
    signed: SignedExportDecision | None

    @property
    def decision(self) -> Decision:
        """The decision."""
        return self.record.decision

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything the policies saw."""
        return self.record.findings

    def require_signed(self) -> SignedExportDecision:
        """The signed decision.

        Raises `PreconditionFailed("EXPORT_NOT_ALLOWED")` with the findings (masked) otherwise.
        """
        if self.signed is None:
            against = [finding for finding in self.findings if finding.severity is not Decision.ALLOW]
            raise PreconditionFailed(
                "EXPORT_NOT_ALLOWED",
                f"{self.decision.value}: " + "; ".join(f"{f.rule_id} {f.path}: {f.message}" for f in against),
                subject=self.record.subject,
                hint="correct the request, or ask the export officer about the decision record",
                data={"decision": self.decision.value, "decision_hash": self.record.decision_hash.hex()},
            )
        return self.signed


class ExportGate:
    """Mainland gate.

    `lifetime_ms` bounds how long a signed decision can be used on the ledger; `chain_id` is the ledger's.
    """

    def __init__(
        self,
        *,
        signer: Signer,
        chain_id: bytes,
        store: DecisionStore,
        approvals: ApprovalRegister,
        rules: RulePack,
        lifetime_ms: int = 600_000,
    ) -> None:
        if len(chain_id) != 32 or lifetime_ms <= 0:
            raise Rejected("EXPORT_GATE_MISCONFIGURED", "the chain id is 32 bytes and the lifetime positive")
        self._signer = signer
        self._chain_id = chain_id
        self._store = store
        self._approvals = approvals
        self._rules = rules
        self._lifetime_ms = lifetime_ms

    def decide(self, facts: ExportFacts, policy: PolicyView, now_ms: int) -> ExportOutcome:
        """Decide, append the decision record and, on ALLOW, sign; record and signature are stored in one transaction.

        A signed decision ends with the earliest of its own lifetime, the approval and the policy.
        """
        approval = self._approvals.find(facts.approval_reference)
        decision, findings = decide(ExportContext(facts, policy, approval, self._rules, now_ms))
        shown: Json = [[value.name, value.value, value.counted] for value in facts.values]
        values = PersonalInput("values", secrets.token_bytes(SALT_BYTES), shown)
        inputs: Mapping[str, Json] = {
            "approval": approval.to_json() if approval else None,
            "commitments": {values.name: values.commitment.hex()},
            "ledger": self._chain_id.hex(),
            "policy": policy.to_json(),
            "request": facts.to_json(),
        }
        inputs_hash = hash_inputs(inputs)
        with self._store.transaction(Zone.MAINLAND) as transaction:
            sequence, previous = transaction.head()
            record = DecisionRecord(
                zone=Zone.MAINLAND,
                sequence=sequence,
                kind=KIND,
                subject=f"export:{inputs_hash.hex()}",
                decision=decision,
                findings=findings,
                rule_packs=(self._rules.ref,),
                inputs_hash=inputs_hash,
                decided_at_ms=now_ms,
                previous_hash=previous,
                salt=secrets.token_bytes(SALT_BYTES),
            )
            signed = None
            if decision is Decision.ALLOW and approval is not None:
                ends = [now_ms + self._lifetime_ms, approval.valid_until_ms]
                if policy.effective_to_ms is not None:
                    ends.append(policy.effective_to_ms)
                signed = self._sign(facts, record.decision_hash, approval.valid_until_ms, now_ms, min(ends))
            transaction.append(record, inputs, (values,), None if signed is None else _artefact(signed))
        return ExportOutcome(record, signed)

    def _sign(
        self, facts: ExportFacts, decision_hash: bytes, approval_until_ms: int, now_ms: int, until_ms: int
    ) -> SignedExportDecision:
        decision = ExportDecision(
            verdict=Decision.ALLOW.value,
            claim_kind=facts.claim_kind,
            record_ids=facts.record_ids,
            fields=facts.fields,
            destination=facts.destination,
            policy_version=facts.policy_version,
            filing_reference=facts.filing_reference,
            approval_reference=facts.approval_reference,
            approval_valid_until_ms=approval_until_ms,
            decision_hash=decision_hash,
            issued_at_ms=now_ms,
            valid_until_ms=until_ms,
            values_hash=values_hash((value.name, value.value) for value in facts.values),
        )
        signature = sign(self._signer, decision.signing_message(self._chain_id))
        return SignedExportDecision(decision, self._signer.public_key, signature)


def _artefact(signed: SignedExportDecision) -> bytes:
    return canonical.dumps(
        {
            "decision": signed.decision.canonical_bytes().hex(),
            "gate_public_key": signed.gate_public_key.hex(),
            "signature": signed.signature.hex(),
        }
    )
