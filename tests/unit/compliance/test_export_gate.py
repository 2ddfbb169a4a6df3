"""The export decision, check by check, and the gate around it."""

from __future__ import annotations

from typing import Any

import pytest

from compliance.evidence.model import Decision, Zone
from compliance.evidence.policy import AllOf
from compliance.evidence.store import DecisionStore
from compliance.export.decide import decide
from compliance.export.detection import MAX_SCAN_CHARS
from compliance.export.gate import ExportGate, default_rules
from compliance.export.model import ConfiguredApprovals, ExportApproval, ExportedValue
from lianqiao_base.errors import PreconditionFailed, Rejected
from mainland_chain.crypto import sm2

NOW_MS = 1_795_000_000_000
DAY_MS = 86_400_000
CHAIN = b"\x42" * 32
ID = "11010519491231002X"


def blame(context: Any) -> tuple[Decision, set[str]]:
    decision, findings = decide(context)
    return decision, {finding.rule_id for finding in findings if finding.severity is not Decision.ALLOW}


def test_a_good_request_is_allowed(export_context: Any) -> None:
    decision, findings = decide(export_context())
    assert decision is Decision.ALLOW
    assert [finding.rule_id for finding in findings] == [
        "LEDGER-POLICY",
        "LEDGER-DESTINATION",
        "LEDGER-FIELDS",
        "CN-FILING",
        "CN-EXPORT-APPROVAL",
        "CN-PERSONAL-DATA",
    ]


def test_no_policies_deny(export_context: Any) -> None:
    assert decide(export_context(), AllOf(()))[0] is Decision.DENY


@pytest.mark.parametrize("changes", [{"version": 4}, {"effective_from_ms": NOW_MS + 1}, {"effective_to_ms": NOW_MS}])
def test_policy_must_be_in_force(export_context: Any, policy: Any, changes: dict[str, Any]) -> None:
    assert blame(export_context(policy=policy(**changes))) == (Decision.DENY, {"LEDGER-POLICY"})


def test_policy_without_end(export_context: Any, policy: Any) -> None:
    assert blame(export_context(policy=policy(effective_to_ms=None)))[0] is Decision.ALLOW


def test_destination_must_be_in_the_policy(export_context: Any, policy: Any) -> None:
    context = export_context(policy=policy(destinations=frozenset({b"\xee" * 32})))
    assert blame(context) == (Decision.DENY, {"LEDGER-DESTINATION"})


def test_fields_must_be_in_the_policy_and_shown(export_context: Any, policy: Any, facts: Any) -> None:
    narrow = policy(fields={"TelemetryClaim": frozenset({"province"})})
    assert blame(export_context(policy=narrow)) == (Decision.DENY, {"LEDGER-FIELDS"})
    none = policy(fields={"AssetClaim": frozenset({"province", "energy_wh"})})
    assert blame(export_context(policy=none)) == (Decision.DENY, {"LEDGER-FIELDS"})
    hidden = facts(values=(ExportedValue("province", "440000"),))
    assert blame(export_context(facts=hidden)) == (Decision.DENY, {"LEDGER-FIELDS"})


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("", Decision.NEEDS_INFO),
        ("国合函〔2026〕123号", Decision.ALLOW),
        ("CSRC-RWA-2026-0001", Decision.ALLOW),
        ("CSRC-RWA-2026-0001 ", Decision.HOLD),
        ("pending", Decision.HOLD),
    ],
)
def test_filing_reference(export_context: Any, facts: Any, reference: str, expected: Decision) -> None:
    decision, blamed = blame(export_context(facts=facts(filing_reference=reference)))
    assert decision is expected
    assert blamed == (set() if expected is Decision.ALLOW else {"CN-FILING"})


def test_approval_must_be_named_registered_valid_and_fitting(export_context: Any, facts: Any, approval: Any) -> None:
    rule = {"CN-EXPORT-APPROVAL"}
    assert blame(export_context(facts=facts(approval_reference=""), approval=None)) == (Decision.NEEDS_INFO, rule)
    assert blame(export_context(approval=None)) == (Decision.DENY, rule)
    assert blame(export_context(approval=approval(reference="EXP-2"))) == (Decision.DENY, rule)
    assert blame(export_context(approval=approval(valid_until_ms=NOW_MS))) == (Decision.DENY, rule)
    assert blame(export_context(approval=approval(valid_from_ms=NOW_MS + 1))) == (Decision.HOLD, rule)
    assert blame(export_context(approval=approval(claim_kinds=frozenset({"AssetClaim"})))) == (Decision.DENY, rule)
    assert blame(export_context(approval=approval(destinations=frozenset()))) == (Decision.DENY, rule)


@pytest.mark.parametrize(
    "value",
    [
        ExportedValue("province", ID),
        ExportedValue("province", f"owner {ID.lower()}"),
        ExportedValue("province", "１３８００１３８０００"),
        ExportedValue("energy_wh", "110105194912310038", counted=True),  # a check digit vouches, counted or not
        ExportedValue("energy_wh", "1.5", counted=True),
        ExportedValue("energy_wh", "٣", counted=True),
        ExportedValue("energy_wh", "007", counted=True),
        ExportedValue("province", "x" * (MAX_SCAN_CHARS + 1)),
    ],
)
def test_no_value_may_hold_personal_data(export_context: Any, facts: Any, value: ExportedValue) -> None:
    shown = (ExportedValue("province", "440000"), ExportedValue("energy_wh", "5", counted=True), value)
    decision, findings = decide(export_context(facts=facts(values=shown)))
    assert decision is Decision.DENY
    against = [finding for finding in findings if finding.severity is Decision.DENY]
    assert [finding.rule_id for finding in against] == ["CN-PERSONAL-DATA"]
    assert against[0].path == f"values[2] {value.name}"
    assert value.value not in repr(findings)
    assert value.value not in repr(facts(values=shown))


def test_a_number_counted_is_no_telephone(export_context: Any, facts: Any) -> None:
    as_text = (ExportedValue("province", "440000"), ExportedValue("energy_wh", "15234567890"))
    assert blame(export_context(facts=facts(values=as_text))) == (Decision.DENY, {"CN-PERSONAL-DATA"})
    assert blame(export_context())[0] is Decision.ALLOW


@pytest.mark.parametrize("place", ["filing_reference", "approval_reference", "value name", "field name"])
def test_personal_data_in_any_other_text(export_context: Any, facts: Any, approval: Any, place: str) -> None:
    values = (ExportedValue("province", "1"), ExportedValue("energy_wh", "5"))
    changes: dict[str, Any] = {
        "filing_reference": {"filing_reference": ID},
        "approval_reference": {"approval_reference": ID},
        "value name": {"values": (*values, ExportedValue(ID, "1"))},
        "field name": {"fields": ("province", ID)},
    }[place]
    context = export_context(
        facts=facts(**changes), approval=approval(reference=changes.get("approval_reference", "EXP-1"))
    )
    decision, findings = decide(context)
    assert decision is Decision.DENY
    assert any(f.rule_id == "CN-PERSONAL-DATA" and f.severity is Decision.DENY for f in findings)
    assert ID not in repr(findings)


@pytest.mark.parametrize("rule_id", ["CN-FILING", "CN-EXPORT-APPROVAL", "CN-PERSONAL-DATA"])
def test_a_rule_not_in_force_holds(export_context: Any, rule_id: str) -> None:
    rules = default_rules()
    fewer = rules.model_copy(update={"rules": tuple(rule for rule in rules.rules if rule.rule_id != rule_id)})
    assert blame(export_context(rules=fewer)) == (Decision.HOLD, {rule_id})


@pytest.mark.parametrize(
    "changes",
    [
        {"claim_kind": "OtherClaim"},
        {"record_ids": ()},
        {"record_ids": (b"\x01" * 32, b"\x01" * 32)},
        {"record_ids": (b"\x01" * 31,)},
        {"fields": ("a", "a")},
        {"destination": b"\x01" * 20},
        {"policy_version": -1},
    ],
)
def test_malformed_requests_are_refused(facts: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected, match="EXPORT_REQUEST_INVALID"):
        facts(**changes)


@pytest.fixture
def gate(store: DecisionStore, approval: Any) -> ExportGate:
    approvals = ConfiguredApprovals((approval(),))
    return ExportGate(
        signer=sm2.PrivateKey.generate(), chain_id=CHAIN, store=store, approvals=approvals, rules=default_rules()
    )


def test_allow_is_signed_recorded_and_bound(gate: ExportGate, store: DecisionStore, facts: Any, policy: Any) -> None:
    outcome = gate.decide(facts(), policy(), NOW_MS)
    signed = outcome.require_signed()
    signed.verify(CHAIN)
    with pytest.raises(Rejected):
        signed.verify(b"\x43" * 32)
    decision = signed.decision
    assert decision.verdict == "ALLOW"
    assert decision.decision_hash == outcome.record.decision_hash
    assert (decision.issued_at_ms, decision.valid_until_ms) == (NOW_MS, NOW_MS + 600_000)
    request = facts()
    assert (decision.claim_kind, decision.record_ids, decision.fields) == (
        request.claim_kind,
        request.record_ids,
        request.fields,
    )
    assert (decision.destination, decision.policy_version) == (request.destination, 3)
    assert (decision.filing_reference, decision.approval_reference) == ("CSRC-RWA-2026-0001", "EXP-1")
    assert decision.approval_valid_until_ms == NOW_MS + DAY_MS
    assert store.verify(Zone.MAINLAND) == outcome.record.decision_hash


@pytest.mark.parametrize("ends_first", ["approval", "policy"])
def test_a_signature_ends_with_what_it_rests_on(
    store: DecisionStore, facts: Any, policy: Any, approval: Any, ends_first: str
) -> None:
    end = NOW_MS + 1000
    known = approval(valid_until_ms=end) if ends_first == "approval" else approval()
    view = policy(effective_to_ms=end) if ends_first == "policy" else policy()
    gate = ExportGate(
        signer=sm2.PrivateKey.generate(),
        chain_id=CHAIN,
        store=store,
        approvals=ConfiguredApprovals((known,)),
        rules=default_rules(),
    )
    assert gate.decide(facts(), view, NOW_MS).require_signed().decision.valid_until_ms == end


def test_a_refusal_is_recorded_and_never_signed(
    gate: ExportGate, store: DecisionStore, facts: Any, policy: Any
) -> None:
    values = (ExportedValue("province", ID), ExportedValue("energy_wh", "5", counted=True))
    outcome = gate.decide(facts(values=values), policy(), NOW_MS)
    assert outcome.decision is Decision.DENY
    assert outcome.signed is None
    with pytest.raises(PreconditionFailed, match="EXPORT_NOT_ALLOWED") as caught:
        outcome.require_signed()
    assert ID not in str(caught.value)
    assert ID.encode() not in outcome.record.to_bytes()
    with store.transaction(Zone.MAINLAND) as transaction:
        stored = transaction.find(outcome.record.decision_hash)
        assert stored is not None
        assert stored.artefact is None
        assert ID not in repr(stored.inputs)


def test_equal_requests_have_unequal_hashes(gate: ExportGate, facts: Any, policy: Any) -> None:
    """The record's salt and its commitments keep published hashes from being guessed or linked."""
    first, second = (gate.decide(facts(), policy(), NOW_MS).record for _ in range(2))
    assert first.inputs_hash != second.inputs_hash
    assert first.salt != second.salt
    assert second.previous_hash == first.decision_hash


def test_the_register_decides_which_approval_counts(gate: ExportGate, facts: Any, policy: Any) -> None:
    outcome = gate.decide(facts(approval_reference="EXP-9"), policy(), NOW_MS)
    assert outcome.decision is Decision.DENY


def test_misconfiguration(store: DecisionStore, approval: Any) -> None:
    one: ExportApproval = approval()
    with pytest.raises(Rejected, match="EXPORT_APPROVAL_DUPLICATE"):
        ConfiguredApprovals((one, one))
    for bad in ({"chain_id": b""}, {"lifetime_ms": 0}):
        arguments: dict[str, Any] = {"chain_id": CHAIN, "lifetime_ms": 1, **bad}
        with pytest.raises(Rejected, match="EXPORT_GATE_MISCONFIGURED"):
            ExportGate(
                signer=sm2.PrivateKey.generate(),
                store=store,
                approvals=ConfiguredApprovals(()),
                rules=default_rules(),
                **arguments,
            )
