"""The bundle: built from a real mint, verified offline; no changed value survives."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rlp  # type: ignore[import-untyped]

from bridge.bundle import model, trie
from bridge.bundle.build import build_bundle, make_bundle
from bridge.bundle.report import verify_bytes, verify_file
from bridge.bundle.verify import CHECKS, Options, verify
from bridge.delivery.node import OrderEvidence
from lianqiao_base import canonical
from lianqiao_base.errors import NotFound, PreconditionFailed, Rejected
from mainland_chain.crypto.sm3 import sm3
from tests.integration.delivery.delivery_world import IDENTITY_BYTES, ISSUER, World
from tests.unit.mainland_chain.light.simulated_ledger import LOCK_REF

INFORMATIVE = ("l2.informative", ".size")
"""As documented in the schema."""

Minted = tuple[bytes, World, OrderEvidence]


def mint(world: World) -> Minted:
    node = world.node()
    ledger = world.ledger
    asset = ledger.asset()
    rotation = ledger.rotate()
    node.submit_packet(ledger.packet(asset, rotation.certified))
    for index in (ledger.telemetry(), ledger.lock(bytes.fromhex(ISSUER.address[2:]))):
        node.submit_packet(ledger.packet(index))
    node.run_until_idle()
    world.register_token()
    order = world.order(units=25)
    node.submit_order(order, IDENTITY_BYTES)
    with pytest.raises(PreconditionFailed):
        build_bundle(node, world.client, order.order_id)
    node.run_until_idle()
    return build_bundle(node, world.client, order.order_id), world, node.order_evidence(order.order_id)


@pytest.fixture(scope="module")
def minted(module_world: World) -> Minted:
    return mint(module_world)


@pytest.fixture(scope="module")
def bundle(minted: Minted) -> bytes:
    return minted[0]


def failure(data: bytes, **options: Any) -> str:
    results = verify(data, Options(**options))
    assert results[-1].ok is False, "accepted"
    return results[-1].title


def document(bundle: bytes) -> Any:
    return copy.deepcopy(canonical.loads_strict(bundle))


def test_it_verifies_offline_and_says_what_it_cannot_show(bundle: bytes) -> None:
    report = verify_bytes(bundle)
    assert report.ok
    assert [r.number for r in report.results] == list(range(1, len(CHECKS) + 2))
    assert [r.title for r in report.unshown] == [CHECKS[0][0], CHECKS[-1][0]]
    text = "\n".join(report.lines())
    assert "offline cannot show" in text
    assert "--genesis-hash" in text


def test_with_what_the_auditor_trusts_everything_is_shown(minted: Minted) -> None:
    data, world, _ = minted
    block = model.from_json(model.parse(data)).l2.block_hash
    report = verify_bytes(data, genesis_hash=world.ledger.chain_id, l2_block_hash=block)
    assert report.ok
    assert not report.unshown
    assert report.lines()[-1] == "Everything holds."
    assert failure(data, genesis_hash=bytes(32)) == CHECKS[0][0]
    assert failure(data, l2_block_hash=bytes(32)) == CHECKS[-1][0]


def test_files(bundle: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    path.write_bytes(bundle)
    assert verify_file(path).ok
    with pytest.raises(NotFound):
        verify_file(tmp_path / "none.json")


def test_it_is_canonical_and_round_trips(bundle: bytes) -> None:
    assert model.from_json(model.parse(bundle)).to_bytes() == bundle
    assert failure(bundle + b"\n").startswith("the document")
    assert failure(b"{}").startswith("the document")
    assert failure(b" " * (model.MAX_BUNDLE_BYTES + 1)).startswith("the document")


def test_no_identity_is_in_it(bundle: bytes) -> None:
    for word in (b"Chan", b"Tai Man", b"1980-02-29", b"213800WSGIIZCXF1P572", b"secret name"):
        assert word not in bundle
        assert word.hex().encode() not in bundle


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Callable[[Any], None], Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        here = f"{path}.{key}" if path else str(key)
        if isinstance(item, dict | list):
            yield from leaves(item, here)
        else:
            yield here, lambda new, c=value, k=key: c.__setitem__(k, new), item


def mutations(value: Any) -> list[Any]:
    if isinstance(value, int):
        return [value + 1, value - 1] if value else [1]
    if not value:
        return ["00"]
    flipped = {"0": "1", "1": "0", "a": "b", "x": "y"}
    middle = len(value) // 2
    spots = sorted({0, middle, len(value) - 1} if not value.startswith("0x") else {2, len(value) - 1})
    changed = [value[:i] + flipped.get(value[i], "0" if value[i] != "0" else "1") + value[i + 1 :] for i in spots]
    return [*changed, value[:-2]]


def test_every_changed_value_fails(bundle: bytes) -> None:
    doc = document(bundle)
    survivors, tried = [], 0
    for path, put, value in leaves(doc):
        for changed in mutations(value):
            put(changed)
            try:
                data = canonical.dumps(doc)
            except Rejected:
                continue
            finally:
                put(value)
            tried += 1
            if verify(data)[-1].ok is not False:
                survivors.append((path, value, changed))
    assert tried > 500
    assert [s for s in survivors if not any(mark in s[0] for mark in INFORMATIVE)] == []


def test_removed_and_added_parts_fail(bundle: bytes) -> None:
    edits: list[Callable[[Any], object]] = [
        lambda d: d.pop("l2"),
        lambda d: d.update(extra=1),
        lambda d: d["mainland"]["claims"].pop(),
        lambda d: d["mainland"]["claims"].reverse(),
        lambda d: d["mainland"]["claims"][0]["openings"].pop(),
        lambda d: d["mainland"]["rotations"].clear(),
        lambda d: d["mainland"]["checkpoints"].append(d["mainland"]["checkpoints"][0]),
        lambda d: d["mainland"]["checkpoints"].pop(),
        lambda d: d["mainland"]["checkpoints"][0]["signatures"].append(
            d["mainland"]["checkpoints"][0]["signatures"][0]
        ),
        lambda d: d["hong_kong"]["clearance"]["signatures"].pop(),
        lambda d: d["hong_kong"]["clearance"]["signatures"].reverse(),
        lambda d: d["hong_kong"]["decision"]["findings"].pop(),
        lambda d: d["l2"]["receipt"]["proof"].append(d["l2"]["receipt"]["proof"][0]),
        lambda d: d["l2"]["transaction"]["proof"].append("80"),
    ]
    for number, edit in enumerate(edits):
        doc = document(bundle)
        edit(doc)
        assert verify(canonical.dumps(doc))[-1].ok is False, number


def test_each_check_alone_stops_its_lie(minted: Minted) -> None:
    """A bundle that is consistent but for one lie fails at the check made for it."""
    data, world, evidence = minted
    good = model.from_json(model.parse(data))
    order, clearance = good.order, good.clearance
    other_order = world.order(2, units=24)
    lies = {
        CHECKS[3][0]: [
            dataclasses.replace(good, order=dataclasses.replace(order, lock_ref=sm3(b"another"))),
            dataclasses.replace(good, order=dataclasses.replace(order, units=501)),
            dataclasses.replace(good, order=dataclasses.replace(order, deadline=1)),
        ],
        CHECKS[4][0]: [
            dataclasses.replace(good, issuer_signature=world.order(units=25, key=bytes([5]) * 32).issuer_signature)
        ],
        CHECKS[5][0]: [
            dataclasses.replace(good, signers=good.signers[::-1]),
            dataclasses.replace(
                good, clearance=dataclasses.replace(clearance, signatures=clearance.signatures[:1] * 2)
            ),
            dataclasses.replace(
                good,
                l2=dataclasses.replace(good.l2, allowed_signers=(evidence.order.terms().recipient,)),
            ),
        ],
        CHECKS[6][0]: [dataclasses.replace(good, decision=dataclasses.replace(good.decision, sequence=99))],
        CHECKS[9][0]: [
            dataclasses.replace(good, l2=dataclasses.replace(good.l2, block_hash=bytes(32))),
            dataclasses.replace(good, l2=dataclasses.replace(good.l2, transaction_index=1)),
        ],
    }
    for title, bundles in lies.items():
        for lie in bundles:
            assert failure(lie.to_bytes()) == title
    assert other_order.order_id != order.order_id
    assert order.lock_ref == LOCK_REF


def test_another_mint_of_the_same_world_cannot_lend_its_parts(minted: Minted) -> None:
    data, world, _ = minted
    node = world.node()
    second = world.order(7, units=5)
    node.submit_order(second, IDENTITY_BYTES)
    node.run_until_idle()
    one = model.from_json(model.parse(data))
    two = make_bundle(node.order_evidence(second.order_id), world.client, world.domain)
    assert verify(two.to_bytes())[-1].ok is None
    for name, title in (("l2", CHECKS[7][0]), ("decision", CHECKS[6][0]), ("clearance", CHECKS[5][0])):
        assert failure(dataclasses.replace(one, **{name: getattr(two, name)}).to_bytes()) == title
    mixed = dataclasses.replace(one.l2, receipt=two.l2.receipt, receipt_proof=two.l2.receipt_proof)
    assert failure(dataclasses.replace(one, l2=mixed).to_bytes()) == CHECKS[8][0]
    header = dataclasses.replace(one.l2, header=two.l2.header, block_hash=two.l2.block_hash)
    assert failure(dataclasses.replace(one, l2=header).to_bytes()) == CHECKS[9][0]


@pytest.mark.parametrize("count", [1, 2, 3, 17, 130, 300])
def test_trie_proofs_of_blocks_of_any_size(count: int) -> None:
    values = [bytes([i % 251]) * (1 + i % 90) for i in range(count)]
    root = trie.root_of(values)
    for index in sorted({0, count // 2, count - 1}):
        proof = trie.prove(values, index)
        trie.verify(root, index, values[index], proof)
        for bad in (
            (root, index, values[index] + b"\0", proof),
            (root, index + count, values[index], proof),
            (bytes(32), index, values[index], proof),
            (root, index, values[index], (*proof, proof[-1])),
            (root, index, values[index], proof[:-1]),
        ):
            with pytest.raises(Rejected):
                trie.verify(*bad)


def with_packet(good: model.Bundle, world: World, position: int, index: int) -> model.Bundle:
    packets = list(good.packets)
    packets[position] = world.ledger.packet(index)
    return dataclasses.replace(good, packets=tuple(packets))


def test_certified_claims_that_do_not_belong(minted: Minted) -> None:
    data, world, _ = minted
    good = model.from_json(model.parse(data))
    ledger = world.ledger
    issuer = bytes.fromhex(ISSUER.address[2:])
    assert failure(with_packet(good, world, 2, ledger.telemetry(asset_ref=sm3(b"other"))).to_bytes()) == CHECKS[3][0]
    assert failure(with_packet(good, world, 1, ledger.lock(issuer, days=0)).to_bytes()) == CHECKS[3][0]
    assert failure(with_packet(good, world, 0, ledger.asset(unit_count=499)).to_bytes()) == CHECKS[3][0]
    assert failure(with_packet(good, world, 0, ledger.telemetry()).to_bytes()) == CHECKS[2][0]
    assert failure(with_packet(good, world, 1, ledger.lock(bytes([3]) * 20)).to_bytes()) == CHECKS[4][0]


def test_malformed_headers_are_failures_not_crashes(minted: Minted) -> None:
    good = model.from_json(model.parse(minted[0]))
    for header in (b"", b"\x80", b"\xc0", b"\xc1", rlp.encode([[b""]] * 20)):
        lie = dataclasses.replace(good, l2=dataclasses.replace(good.l2, header=header))
        assert failure(lie.to_bytes()) == CHECKS[2][0]


def test_receipts_that_do_not_say_so(minted: Minted) -> None:
    good = model.from_json(model.parse(minted[0]))
    status, gas, bloom, logs = rlp.decode(good.l2.receipt[1:])
    controller = bytes.fromhex(good.l2.controller[2:])
    changed = [[a, t, bytes(len(d)) if a == controller else d] for a, t, d in logs]
    cut = [[a, t, d[:-1] if a == controller else d] for a, t, d in logs]
    receipts = [
        b"\x02" + rlp.encode([b"", gas, bloom, logs]),
        b"\x01" + rlp.encode([status, gas, bloom, logs]),
        b"\x02" + rlp.encode([status, gas, bloom, []]),
        b"\x02" + rlp.encode([status, gas, bloom, [*logs, *logs]]),
        b"\x02" + rlp.encode([status, gas, bloom, changed]),
        b"\x02" + rlp.encode([status, gas, bloom, cut]),
        b"\x02" + rlp.encode([status, gas]),
        b"\x02\xff",
    ]
    for receipt in receipts:
        lie = dataclasses.replace(good, l2=dataclasses.replace(good.l2, receipt=receipt))
        assert failure(lie.to_bytes()) == CHECKS[8][0]


def test_transactions_that_do_something_else(minted: Minted) -> None:
    good = model.from_json(model.parse(minted[0]))
    fields = rlp.decode(good.l2.transaction[1:])
    for position, value in ((0, b"\x01"), (5, bytes([1]) * 20), (7, b"")):
        other = [*fields[:position], value, *fields[position + 1 :]]
        lie = dataclasses.replace(good, l2=dataclasses.replace(good.l2, transaction=b"\x02" + rlp.encode(other)))
        assert failure(lie.to_bytes()) == CHECKS[7][0]
    for raw in (b"\x01" + good.l2.transaction[1:], b"\x02", b"\x02\xc0"):
        lie = dataclasses.replace(good, l2=dataclasses.replace(good.l2, transaction=raw))
        assert failure(lie.to_bytes()) == CHECKS[7][0]


def test_a_decision_about_something_else_does_not_serve(minted: Minted) -> None:
    data, world, _ = minted
    good = model.from_json(model.parse(data))
    decision = dataclasses.replace(good.decision, subject="order:" + "00" * 32)
    clearance = dataclasses.replace(good.clearance.clearance, decision_hash=decision.decision_hash)
    digest = clearance.digest(good.l2.chain_id, bytes.fromhex(good.l2.controller[2:]))
    by_address = sorted(world.signers, key=lambda s: s.address)
    signed = dataclasses.replace(
        good.clearance, clearance=clearance, signatures=tuple(s.sign_digest(digest) for s in by_address)
    )
    assert failure(dataclasses.replace(good, decision=decision, clearance=signed).to_bytes()) == CHECKS[6][0]
