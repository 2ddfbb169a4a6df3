"""The transfer gate: records, personal data, clearances, and the same answer to the same question."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compliance.evidence.model import Decision, Zone
from compliance.evidence.store import DecisionStore
from compliance.transfer.clearance import verify_clearance
from compliance.transfer.gate import TransferGate, TransferOutcome, default_rules
from compliance.transfer.model import ScreeningSettings, UnitPrice
from compliance.transfer.sanctions import ConfiguredLists
from compliance.transfer.signer import LocalClearanceSigner
from lianqiao_base.errors import AlreadyExists, NotFound, PreconditionFailed, Rejected

NOW_MS = 1_795_000_000_000
CONTROLLER = bytes.fromhex("12" * 20)
SIGNERS = [LocalClearanceSigner(bytes([i]) * 32) for i in (1, 2, 3)]
LISTED = bytes.fromhex("cc" * 20)


@pytest.fixture
def make_gate(store: DecisionStore, sanctions: Any) -> Callable[..., TransferGate]:
    def build(**changes: Any) -> TransferGate:
        values: dict[str, Any] = {
            "signers": SIGNERS,
            "chain_id": 31337,
            "controller": CONTROLLER,
            "store": store,
            "lists": ConfiguredLists((sanctions,)),
            "screening": ScreeningSettings(max_age_days=7),
            "rules": default_rules(),
        }
        return TransferGate(**{**values, **changes})

    return build


def count(store: DecisionStore) -> int:
    with store.transaction(Zone.HONGKONG) as transaction:
        return transaction.head()[0]


def test_allow_gives_a_clearance_that_verifies(
    make_gate: Any, store: Any, order: Any, identity: Any, price: Any
) -> None:
    outcome: TransferOutcome = make_gate().decide(order(), identity, price, NOW_MS)
    signed = outcome.require_clearance()
    allowed = frozenset(signer.address for signer in SIGNERS)
    signers = verify_clearance(
        signed, chain_id=31337, controller=CONTROLLER, allowed=allowed, threshold=3, now_s=NOW_MS // 1000
    )
    assert set(signers) == allowed
    clearance, asked = signed.clearance, order()
    assert (clearance.order_id, clearance.lock_ref) == (asked.order_id, asked.lock_ref)
    assert (clearance.recipient, clearance.units) == (asked.recipient, asked.units)
    assert clearance.decision_hash == outcome.record.decision_hash
    assert clearance.expiry == NOW_MS // 1000 + 3600
    assert [pack.name for pack in outcome.record.rule_packs] == ["hk-transfer", "sanctions:TEST"]
    assert store.verify(Zone.HONGKONG) == outcome.record.decision_hash


def test_a_clearance_never_outlives_the_order(make_gate: Any, order: Any, identity: Any, price: Any) -> None:
    brief = order(deadline=NOW_MS // 1000 + 60)
    outcome = make_gate().decide(brief, identity, price, NOW_MS)
    assert outcome.require_clearance().clearance.expiry == brief.deadline


def test_same_question_same_answer(make_gate: Any, store: Any, order: Any, identity: Any, price: Any) -> None:
    first = make_gate().decide(order(), identity, price, NOW_MS)
    again = make_gate().decide(order(), identity, price, NOW_MS + 1000)  # another instance, as after a restart
    assert again == first
    assert count(store) == 1


@pytest.mark.parametrize(
    "changes", [{"recipient": b"\x0f" * 20}, {"units": 101}, {"issuer": b"\x0f" * 20}, {"lock_ref": b"\x23" * 32}]
)
def test_another_order_under_the_same_id_is_refused(
    make_gate: Any, store: Any, order: Any, identity: Any, price: Any, changes: dict[str, Any]
) -> None:
    make_gate().decide(order(), identity, price, NOW_MS)
    with pytest.raises(AlreadyExists, match="ORDER_DIFFERS"):
        make_gate().decide(order(**changes), identity, price, NOW_MS)
    assert count(store) == 1


def test_terms_bind_from_the_first_question_on(make_gate: Any, order: Any, identity: Any, price: Any) -> None:
    assert make_gate().decide(order(), None, price, NOW_MS).decision is Decision.NEEDS_INFO
    with pytest.raises(AlreadyExists, match="ORDER_DIFFERS"):
        make_gate().decide(order(units=1), identity, price, NOW_MS)


@pytest.mark.parametrize("changes", [{"chain_id": 1}, {"controller": b"\x13" * 20}])
def test_a_clearance_for_another_contract_is_not_handed_out(
    make_gate: Any, order: Any, identity: Any, price: Any, changes: dict[str, Any]
) -> None:
    make_gate().decide(order(), identity, price, NOW_MS)
    with pytest.raises(AlreadyExists, match="ORDER_DIFFERS"):
        make_gate(**changes).decide(order(), identity, price, NOW_MS)


def test_other_inputs_after_a_final_answer_are_refused(
    make_gate: Any, order: Any, identity: Any, price: Any, identity_json: Any, read_identity: Any
) -> None:
    make_gate().decide(order(), identity, price, NOW_MS)
    identity_json["beneficiary"]["beneficiaryPerson"][0]["naturalPerson"]["countryOfResidence"] = "SG"
    for other, other_price in (
        (read_identity(identity_json), price),
        (None, price),
        (identity, None),
        (identity, UnitPrice("HKD", 1, NOW_MS)),
    ):
        with pytest.raises(AlreadyExists, match="ORDER_DIFFERS"):
            make_gate().decide(order(), other, other_price, NOW_MS)


def test_completed_data_is_decided_again(make_gate: Any, store: Any, order: Any, identity: Any, price: Any) -> None:
    gate = make_gate()
    first = gate.decide(order(), None, price, NOW_MS)
    assert (first.decision, first.clearance) == (Decision.NEEDS_INFO, None)
    assert gate.decide(order(), None, price, NOW_MS + 5) == first  # unchanged: no new record
    assert gate.decide(order(), identity, price, NOW_MS + 10).decision is Decision.ALLOW
    assert count(store) == 2


def test_a_refreshed_list_releases_a_hold(
    make_gate: Any, store: Any, order: Any, identity: Any, price: Any, sanctions: Any
) -> None:
    held = make_gate(lists=ConfiguredLists(())).decide(order(), identity, price, NOW_MS)
    assert held.decision is Decision.HOLD
    assert make_gate().decide(order(), identity, price, NOW_MS).decision is Decision.ALLOW


def test_deny_is_final(make_gate: Any, store: Any, order: Any, identity: Any, price: Any, sanctions: Any) -> None:
    asked = order(issuer=LISTED)
    denied = make_gate().decide(asked, identity, price, NOW_MS)
    assert denied.decision is Decision.DENY
    cleared = ConfiguredLists((dataclasses.replace(sanctions, programs={b"\x01" * 20: "P"}),))
    assert make_gate(lists=cleared).decide(asked, identity, price, NOW_MS) == denied
    with pytest.raises(AlreadyExists):
        make_gate(lists=cleared).decide(asked, None, price, NOW_MS)


def test_an_expired_clearance_is_decided_anew(
    make_gate: Any, store: Any, order: Any, identity: Any, price: Any, sanctions: Any
) -> None:
    first = make_gate().decide(order(), identity, price, NOW_MS)
    expiry_ms = first.require_clearance().clearance.expiry * 1000
    assert make_gate().decide(order(), identity, price, expiry_ms - 1) == first
    second = make_gate().decide(order(), identity, price, expiry_ms)
    assert second.require_clearance().clearance.expiry > first.require_clearance().clearance.expiry
    assert count(store) == 2
    listing = ConfiguredLists((dataclasses.replace(sanctions, programs={order().recipient: "P"}),))
    third = make_gate(lists=listing).decide(order(), identity, price, order().deadline * 1000 - 1)
    assert third == second  # the second is still valid; it ends with the deadline


def test_an_expired_clearance_is_screened_again(
    make_gate: Any, order: Any, identity: Any, price: Any, sanctions: Any
) -> None:
    first = make_gate().decide(order(), identity, price, NOW_MS)
    expiry_ms = first.require_clearance().clearance.expiry * 1000
    listing = ConfiguredLists((dataclasses.replace(sanctions, programs={order().recipient: "P"}),))
    assert make_gate(lists=listing).decide(order(), identity, price, expiry_ms).decision is Decision.DENY


def test_refusals_say_why_without_personal_data(
    make_gate: Any, order: Any, price: Any, identity_json: Any, read_identity: Any
) -> None:
    identity_json["beneficiary"]["beneficiaryPerson"][0].pop("accountNumber")
    outcome = make_gate().decide(order(), read_identity(identity_json), price, NOW_MS)
    with pytest.raises(PreconditionFailed, match="TRANSFER_NOT_CLEARED") as caught:
        outcome.require_clearance()
    assert "beneficiary.beneficiaryPerson[0].accountNumber" in str(caught.value)
    for shown in (str(caught.value), repr(outcome)):
        assert "Chan" not in shown
        assert "Harbour" not in shown


def test_personal_data_is_in_its_own_table_only(
    make_gate: Any, order: Any, identity: Any, price: Any, tmp_path: Path
) -> None:
    outcome = make_gate().decide(order(), identity, price, NOW_MS)
    assert b"Chan" not in outcome.record.to_bytes()
    with sqlite3.connect(tmp_path / "decisions.db") as raw:
        rows = {
            table: repr(raw.execute(f"select * from {table}").fetchall())  # noqa: S608
            for table in ("decision_record", "issued_artefact", "personal_data")
        }
    raw.close()
    assert [table for table, text in rows.items() if "Chan" in text] == ["personal_data"]


def test_the_decision_hash_cannot_be_guessed(make_gate: Any, order: Any, identity: Any, price: Any) -> None:
    """Equal content under two ids: neither inputs hash nor commitment repeats, for every salt is fresh."""
    gate = make_gate()
    records = [gate.decide(order(order_id=bytes([i]) * 32), identity, price, NOW_MS).record for i in (1, 2)]
    assert len({record.salt for record in records}) == 2
    with gate._store.transaction(Zone.HONGKONG) as transaction:
        stored = [transaction.find(record.decision_hash) for record in records]
    assert stored[0].inputs["commitments"] != stored[1].inputs["commitments"]


def test_find_and_screen(make_gate: Any, order: Any, identity: Any, price: Any) -> None:
    gate = make_gate()
    outcome = gate.decide(order(), identity, price, NOW_MS)
    assert gate.find(outcome.record.decision_hash) == outcome
    with pytest.raises(NotFound):
        gate.find(b"\x00" * 32)
    assert gate.screen_address(LISTED, NOW_MS)[0].severity is Decision.DENY
    assert gate.screen_address(b"\x01" * 20, NOW_MS)[0].severity is Decision.ALLOW
    with pytest.raises(PreconditionFailed, match="RULE_NOT_IN_FORCE"):
        gate.screen_address(LISTED, 0)


def test_many_askers_one_record(make_gate: Any, store: Any, order: Any, identity: Any, price: Any) -> None:
    outcomes: list[TransferOutcome] = []
    gate = make_gate()
    threads = [
        threading.Thread(target=lambda: outcomes.append(gate.decide(order(), identity, price, NOW_MS)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 6
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert count(store) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"signers": []},
        {"signers": [SIGNERS[0], SIGNERS[0]]},
        {"lifetime_s": 0},
        {"screening": ScreeningSettings(-1)},
        {"chain_id": 0},
        {"controller": b""},
    ],
)
def test_misconfiguration(make_gate: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        make_gate(**changes)
