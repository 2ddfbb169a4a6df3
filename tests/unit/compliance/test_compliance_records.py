"""Decision records: their hash, their chain, their store."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
from pathlib import Path

import pytest

from compliance.evidence.model import (
    Decision,
    DecisionRecord,
    Finding,
    RulePackRef,
    Zone,
    chain_start,
    commit,
    conclude,
    hash_inputs,
    parse_record,
    verify_chain,
)
from compliance.evidence.policy import AllOf
from compliance.evidence.store import DecisionStore, PersonalInput
from lianqiao_base.errors import Fatal, Rejected, Retryable

CONTENT = Finding("R-1", Decision.ALLOW, "content", "a.b", "law [SRC]")


def record(sequence: int = 0, previous: bytes | None = None, **changes: object) -> DecisionRecord:
    values: dict[str, object] = {
        "zone": Zone.HONGKONG,
        "sequence": sequence,
        "kind": "transfer",
        "subject": f"order:{sequence}",
        "decision": Decision.ALLOW,
        "findings": (CONTENT,),
        "rule_packs": (RulePackRef("p", "1", b"\x09" * 32),),
        "inputs_hash": hash_inputs({"n": sequence, "commitments": {}}),
        "decided_at_ms": 1_000 + sequence,
        "previous_hash": chain_start(Zone.HONGKONG) if previous is None else previous,
        "salt": bytes([sequence % 256]) * 32,
    }
    return DecisionRecord(**{**values, **changes})  # type: ignore[arg-type]


def chain(length: int) -> list[DecisionRecord]:
    records: list[DecisionRecord] = []
    for i in range(length):
        records.append(record(i, records[-1].decision_hash if records else None))
    return records


def fill(store: DecisionStore, length: int) -> list[DecisionRecord]:
    records = chain(length)
    for i, item in enumerate(records):
        with store.transaction(Zone.HONGKONG) as transaction:
            transaction.append(item, {"n": i, "commitments": {}})
    return records


def test_hash_is_pinned() -> None:
    """The formula is SHA-256(domain ‖ 0x00 ‖ canonical JSON); this value must never change."""
    assert record().decision_hash.hex() == PINNED


PINNED = "37a3dd445426dc7a2d1344e9cff64c567f0fa9cc2d810d70576c01d3ef350002"


@pytest.mark.parametrize(
    "changes",
    [
        {"zone": Zone.MAINLAND},
        {"sequence": 7},
        {"kind": "export"},
        {"subject": "order:other"},
        {"findings": (dataclasses.replace(CONTENT, message="other"),)},
        {"findings": (dataclasses.replace(CONTENT, evidence="other"),)},
        {"decision": Decision.DENY, "findings": (dataclasses.replace(CONTENT, severity=Decision.DENY),)},
        {"rule_packs": (RulePackRef("p", "2", b"\x09" * 32),)},
        {"inputs_hash": b"\x01" * 32},
        {"decided_at_ms": 5},
        {"previous_hash": b"\x02" * 32},
        {"salt": b"\x03" * 32},
    ],
)
def test_every_part_is_hashed(changes: dict[str, object]) -> None:
    assert record(**changes).decision_hash != record().decision_hash  # type: ignore[arg-type]


def test_record_reads_back_and_damage_is_fatal() -> None:
    body = record().to_bytes()
    assert parse_record(body) == record()
    for bad in (b"", b"{}", body[:-1], body + b" ", body.replace(b'"version":1', b'"version":2'), b"[1]"):
        with pytest.raises(Fatal, match="DECISION_RECORD_DAMAGED"):
            parse_record(bad)


def test_unknown_members_of_a_stored_record_are_damage() -> None:
    body = record().to_bytes().replace(b'{"decided_at_ms"', b'{"a":1,"decided_at_ms"')
    with pytest.raises(Fatal, match="DECISION_RECORD_DAMAGED"):
        parse_record(body)


@pytest.mark.parametrize(
    "changes",
    [
        {"sequence": -1},
        {"decided_at_ms": -1},
        {"kind": "Transfer 1"},
        {"subject": "Chan Tai Man"},
        {"inputs_hash": b"\x01" * 31},
        {"previous_hash": b""},
        {"salt": b"\x01" * 16},
        {"decision": Decision.DENY},
        {"findings": ()},
    ],
)
def test_malformed_records_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Rejected, match="DECISION_INVALID"):
        record(**changes)  # type: ignore[arg-type]


def test_worst_finding_decides() -> None:
    order = [Decision.ALLOW, Decision.NEEDS_INFO, Decision.HOLD, Decision.DENY]
    for i, worst in enumerate(order):
        findings = [Finding("R", severity, "") for severity in order[: i + 1]]
        assert conclude(findings) is worst
        assert conclude(reversed(findings)) is worst
    assert conclude(()) is Decision.DENY


def test_empty_and_silent_policies_deny() -> None:
    class Silent:
        rule_id = "SILENT"

        def evaluate(self, context: object) -> tuple[Finding, ...]:
            return ()

    empty: AllOf[object] = AllOf(())
    silent: AllOf[object] = AllOf((Silent(),))
    assert [finding.severity for finding in empty.evaluate(None)] == [Decision.DENY]
    findings = silent.evaluate(None)
    assert [(f.rule_id, f.severity) for f in findings] == [("SILENT", Decision.DENY)]


def test_commitment_needs_its_salt() -> None:
    assert commit(b"\x01" * 32, "13800138000") != commit(b"\x02" * 32, "13800138000")
    with pytest.raises(Rejected):
        commit(b"\x01" * 31, "x")


def test_chain_verifies_and_every_break_is_seen() -> None:
    records = chain(4)
    assert verify_chain(Zone.HONGKONG, records) == records[-1].decision_hash
    assert verify_chain(Zone.HONGKONG, []) == chain_start(Zone.HONGKONG)
    broken = [
        records[1:],
        [records[0], *records[2:]],
        [records[1], records[0], *records[2:]],
        [records[0], dataclasses.replace(records[1], decided_at_ms=9), *records[2:]],
        [records[0], record(0, records[0].decision_hash)],
        [dataclasses.replace(records[0], zone=Zone.MAINLAND)],
    ]
    for case in broken:
        with pytest.raises(Fatal, match="DECISION_CHAIN_BROKEN"):
            verify_chain(Zone.HONGKONG, case)
    with pytest.raises(Fatal, match="DECISION_CHAIN_BROKEN"):
        verify_chain(Zone.MAINLAND, records)


def test_store_appends_finds_and_verifies(store: DecisionStore) -> None:
    records = fill(store, 3)
    assert store.verify(Zone.HONGKONG) == records[-1].decision_hash
    assert store.verify(Zone.MAINLAND) == chain_start(Zone.MAINLAND)
    with store.transaction(Zone.HONGKONG) as transaction:
        found = transaction.find(records[1].decision_hash)
        assert found is not None
        assert found.record == records[1]
        assert found.inputs == {"n": 1, "commitments": {}}
        assert transaction.latest("transfer", "order:2") is not None
        assert transaction.latest("transfer", "order:9") is None
        assert transaction.find(b"\x00" * 32) is None


def test_store_refuses_what_does_not_link(store: DecisionStore) -> None:
    records = fill(store, 1)
    for bad in (records[0], record(2, records[0].decision_hash), record(1, b"\x00" * 32)):
        with pytest.raises(Fatal, match="DECISION_CHAIN_BROKEN"), store.transaction(Zone.HONGKONG) as transaction:
            transaction.append(bad, {"n": bad.sequence, "commitments": {}})
    with pytest.raises(Fatal, match="DECISION_CHAIN_BROKEN"), store.transaction(Zone.MAINLAND) as transaction:
        transaction.append(record(0, chain_start(Zone.MAINLAND)), {"n": 0, "commitments": {}})


def test_store_refuses_inputs_other_than_the_hashed_ones(store: DecisionStore) -> None:
    with pytest.raises(Fatal, match="DECISION_INPUTS_DIFFER"), store.transaction(Zone.HONGKONG) as transaction:
        transaction.append(record(), {"n": 1, "commitments": {}})
    personal = PersonalInput("identity", b"\x07" * 32, "value")
    with pytest.raises(Fatal, match="DECISION_INPUTS_DIFFER"), store.transaction(Zone.HONGKONG) as transaction:
        transaction.append(record(), {"n": 0, "commitments": {}}, (personal,))
    assert store.verify(Zone.HONGKONG) == chain_start(Zone.HONGKONG)


def test_a_failed_transaction_leaves_nothing(store: DecisionStore) -> None:
    def crash() -> None:
        with store.transaction(Zone.HONGKONG) as transaction:
            transaction.append(record(), {"n": 0, "commitments": {}}, (), b"artefact")
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError):
        crash()
    with store.transaction(Zone.HONGKONG) as transaction:
        assert transaction.head() == (0, chain_start(Zone.HONGKONG))


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("delete from decision_record where sequence = 1", "DECISION_CHAIN_BROKEN"),
        ("update decision_record set body = replace(body, 'content', 'altered') where sequence = 1", "DECISION_"),
        ("update decision_record set decision = 'DENY' where sequence = 1", "DECISION_CHAIN_BROKEN"),
        ("update decision_record set subject = 'order:x' where sequence = 1", "DECISION_CHAIN_BROKEN"),
        ("update decision_record set body = x'00' where sequence = 1", "DECISION_RECORD_DAMAGED"),
        ('update decision_record set inputs = \'{"commitments":{},"n":7}\' where sequence = 1', "DECISION_INPUTS"),
        (
            'update decision_record set inputs = cast(\'{"commitments":{},"n":7}\' as blob) where sequence = 1',
            "DECISION_INPUTS",
        ),
        ("update decision_record set decision_hash = x'00' where sequence = 1", "DECISION_CHAIN_BROKEN"),
    ],
)
def test_tampering_with_the_file_is_fatal(store: DecisionStore, tmp_path: Path, statement: str, code: str) -> None:
    fill(store, 3)
    with sqlite3.connect(tmp_path / "decisions.db") as raw:
        raw.execute(statement)
    raw.close()
    with pytest.raises(Fatal, match=code):
        store.verify(Zone.HONGKONG)


def test_an_altered_head_stops_the_next_append(store: DecisionStore, tmp_path: Path) -> None:
    fill(store, 1)
    with sqlite3.connect(tmp_path / "decisions.db") as raw:
        raw.execute("update decision_record set decision_hash = x'00'")
    raw.close()
    with pytest.raises(Fatal, match="DECISION_CHAIN_BROKEN"), store.transaction(Zone.HONGKONG) as transaction:
        transaction.head()


def test_concurrent_appends_never_fork(store: DecisionStore) -> None:
    def append(count: int) -> None:
        for _ in range(count):
            with store.transaction(Zone.HONGKONG) as transaction:
                sequence, previous = transaction.head()
                transaction.append(record(sequence, previous), {"n": sequence, "commitments": {}})

    threads = [threading.Thread(target=append, args=(6,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.verify(Zone.HONGKONG)
    with store.transaction(Zone.HONGKONG) as transaction:
        assert transaction.head()[0] == 24


def test_personal_data_never_shows(store: DecisionStore) -> None:
    personal = PersonalInput("identity", b"\x07" * 32, "Chan Tai Man")
    assert "Chan" not in repr(personal)
    assert (b"\x07" * 32).hex() not in repr(personal)
    inputs = {"commitments": {"identity": personal.commitment.hex()}}
    item = record(inputs_hash=hash_inputs(inputs))
    with store.transaction(Zone.HONGKONG) as transaction:
        stored = transaction.append(item, inputs, (personal,))
        assert transaction.matches(stored, "identity", "Chan Tai Man")
        assert not transaction.matches(stored, "identity", "Chan Tai Mei")
        assert not transaction.matches(stored, "other", "Chan Tai Man")
    assert b"Chan" not in item.to_bytes()
    # A second insert of the same key fails in the database: its error must not carry the row.
    with pytest.raises(Retryable) as caught, store.transaction(Zone.HONGKONG) as transaction:
        from compliance.evidence import store as module

        row = {"zone": "hongkong", "decision_hash": item.decision_hash, "name": "identity"}
        transaction._connection.execute(module._personal.insert().values(**row, salt=b"", value=b"Chan Tai Man"))
    assert "Chan" not in str(caught.value)
    assert "Chan" not in str(caught.value.__cause__)
    assert store._engine.hide_parameters
