"""The main job on real telemetry, run once: what it must leave behind, and what must never leave the mainland."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from bridge.bundle.report import verify_file
from bridge.delivery.client import DeliveryClient
from bridge.delivery.wire import encode_packet
from bridge.demo.hongkong import HongKongZone
from bridge.demo.mainland import ASSETS, DEFAULT_RULES, MAIN_MEMBERS
from bridge.demo.results import DemoSummary, write_outputs
from bridge.demo.run import LOCKED_UNITS, ORDERS, Run, run_demo
from bridge.export.preview import openings
from mainland_chain.client import RecordView
from mainland_chain.export.policy import FieldRule
from mainland_chain.light.claims import AssetClaim, TelemetryClaim, Transform, UnitLockClaim, decode_claim
from mainland_chain.light.packet import Packet
from mainland_chain.log.hashing import KECCAK
from mainland_chain.log.tree import merkle_path
from tests.support.leaks import find_leaks
from tests.support.world import World

pytestmark = pytest.mark.slow


class Recorder(grpc.aio.UnaryUnaryClientInterceptor):
    """Keeps every message that the mainland side sends over the border."""

    def __init__(self, sent: list[tuple[str, bytes]]) -> None:
        self._sent = sent

    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        self._sent.append((f"border call {len(self._sent)}", request.SerializeToString()))
        return await continuation(details, request)


@dataclass
class Finished:
    """A run and what was taken down while it ran."""

    run: Run
    summary: DemoSummary
    border: list[tuple[str, bytes]]
    chain: list[tuple[str, bytes]]
    supply: int
    balances: dict[str, int]
    lock: Any
    records: dict[str, RecordView] = field(default_factory=dict)


def everything_on_the_l2(run: Run) -> list[tuple[str, bytes]]:
    eth = run.hongkong.evm.web3.eth
    found: list[tuple[str, bytes]] = []
    for number in range(eth.block_number + 1):
        for tx in eth.get_block(number, full_transactions=True)["transactions"]:
            where = f"block {number}"
            found.append((f"{where} transaction", bytes(tx["data"])))  # type: ignore[index, typeddict-item]
            receipt = eth.get_transaction_receipt(tx["hash"])  # type: ignore[index, typeddict-item]
            for log in receipt["logs"]:
                found.append((f"{where} log", b"".join(map(bytes, log["topics"])) + bytes(log["data"])))
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    folder = tmp_path_factory.mktemp("main-job")
    border: list[tuple[str, bytes]] = []
    kept: list[Finished] = []

    def recording(zone: HongKongZone) -> DeliveryClient:
        return DeliveryClient(zone.target, zone.bridge_tls, interceptors=[Recorder(border)])

    async def finish(run: Run) -> None:
        summary = await write_outputs(run, folder / "output")
        token = run.hongkong.token
        balances = {o.recipient.hex(): token.balance_of("0x" + o.recipient.hex()) for o, _ in run.orders}
        lock = run.hongkong.controller.lock_info(run.lock_ref)
        done = Finished(run, summary, border, everything_on_the_l2(run), token.total_supply(), balances, lock)
        async with run.mainland.client_as(MAIN_MEMBERS["owner"]) as client:
            for name, outcome in run.asset_outcomes.items():
                done.records[name] = await client.get_record(outcome.result.record_id)
        kept.append(done)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HongKongZone, "bridge_client", recording)
        asyncio.run(run_demo(folder / "work", finish=finish))
    yield kept[0]


def test_claims_cross_in_order_and_are_all_proven(finished: Finished) -> None:
    kinds = [type(c) for c in finished.run.claims]
    assert kinds == [AssetClaim, TelemetryClaim, TelemetryClaim, UnitLockClaim]
    assert [j.log_index for j in finished.run.jobs] == [0, 1, 2, 3]


def test_the_sum_that_crossed_is_the_sum_of_the_measured_rows(finished: Finished) -> None:
    meter = finished.run.series[0].series
    measured = sum(r.reading.energy_wh for r in meter.rows if r.reading is not None)
    last = finished.run.claims[2]
    assert isinstance(last, TelemetryClaim)
    assert last.cumulative_energy_wh == measured > 0


def test_exactly_the_ordered_units_are_minted_and_conserved(finished: Finished) -> None:
    ordered = [units for *_, units in ORDERS]
    assert sorted(finished.balances.values()) == sorted(ordered)
    assert finished.supply == sum(ordered) == finished.lock.minted
    assert finished.lock.units == LOCKED_UNITS == finished.lock.minted + finished.lock.mintable


def test_no_row_of_the_data_is_silently_dropped(finished: Finished) -> None:
    for s in finished.run.series:
        rows = [r.reading for r in s.series.rows if r.reading is not None]
        anchored = [r.sequence for b in s.batches for r in b.readings]
        refused = [r.reading.sequence for r in s.refused]
        assert sorted(anchored + refused) == [r.sequence for r in rows]
    outliers = finished.run.series[2]
    assert {r.code for r in outliers.refused} == {"POWER_OUTSIDE_NAMEPLATE"}
    html = finished.summary.report_path.read_text(encoding="utf-8")
    assert "POWER_OUTSIDE_NAMEPLATE" in html and "NIGHT_CONSUMPTION" in html


def test_every_forgery_was_refused_by_its_gate(finished: Finished) -> None:
    assert [r.code for r in finished.run.refusals] == [
        "BAD_DEVICE_SIGNATURE",
        "UNKNOWN_GATE",
        "FIELD_NOT_ALLOWED",
        "BAD_CLAIM",
        "BAD_SIGNATURE",
        "NO_QUORUM",
        "BAD_SIGNATURE",
        "ORDER_SIGNATURE",
        "DENY",
        "CapacityExceeded",
    ]


def test_the_report_is_one_self_contained_file(finished: Finished) -> None:
    html = finished.summary.report_path.read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?:https?:)?//""", html)
    assert "<script" not in html and "@import" not in html
    assert finished.run.jobs[1].claim and finished.run.mainland.chain_id.hex() in html


def test_the_bundle_verifies_and_does_not_after_a_change(finished: Finished, tmp_path: Path) -> None:
    report = verify_file(finished.summary.bundle_path)
    assert report.ok, report.lines()
    document = json.loads(finished.summary.bundle_path.read_bytes())
    document["hong_kong"]["order"]["units"] = "1201"
    changed = tmp_path / "changed.json"
    changed.write_bytes(json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
    assert not verify_file(changed).ok


def forbidden(run: Run) -> list[tuple[str, str | int | bytes]]:
    """Every value of grade high or medium, and every field that the policy drops or only lets out changed."""
    values: list[tuple[str, str | int | bytes]] = [("lock_id", "lock-2026-001")]
    for a in ASSETS.values():
        for name in ("asset_id", "plant_name", "division_code", "commissioning_date", "legal_owner"):
            values.append((f"{a.asset_id}.{name}", getattr(a, name)))
        if a.capacity_w > 100_000:  # "10000" is inside many a number that may be seen
            values.append((f"{a.asset_id}.capacity_w", a.capacity_w))
        for name in ("contact_name", "contact_phone", "contact_id_number"):
            values.append((f"{a.asset_id}.{name}", getattr(a, name)))
    for s in run.series:
        for name in ("device_id", "serial", "model", "manufacturer"):
            values.append((f"{s.series.device_id}.{name}", getattr(s.series, name)))
        values += [(f"{s.series.device_id} reading", r.encode()) for b in s.batches for r in b.readings[40:44]]
    values += [(f"pseudonym key {i}", d.pseudonym_key) for i, d in enumerate(run.policy.destinations)]
    return values


def test_nothing_forbidden_crossed_the_border_or_reached_the_l2(finished: Finished) -> None:
    assert len(finished.border) >= 8 and sum(len(b) for _, b in finished.border) > 5_000
    assert sum(len(b) for _, b in finished.chain) > 20_000
    assert find_leaks([*finished.border, *finished.chain], forbidden(finished.run)) == []


def test_no_investor_data_reached_the_l2_or_the_border(finished: Finished) -> None:
    persons = [(f"investor {p}", v) for p, s, born, _ in ORDERS for v in (f"{p}", s, born) if len(v) >= 5]
    assert persons
    assert find_leaks([*finished.border, *finished.chain], persons) == []


def test_what_may_cross_is_found_so_the_scan_is_not_blind(finished: Finished) -> None:
    haystacks = [*finished.border, *finished.chain]
    assert find_leaks(haystacks, [("capacity bucket", "400000-499999")])
    assert find_leaks(haystacks, [("filing", "CSRC-RWA-2026-0042")])


def test_other_members_and_hong_kong_see_no_more_than_their_grade(finished: Finished) -> None:
    view = finished.records["pv-rsf2"]
    by_name = {f.name: f for f in view.fields}
    assert by_name["plant_name"].value == ASSETS["pv-rsf2"].plant_name
    assert by_name["contact_phone"].value == "" and by_name["contact_phone"].ciphertext


def packet_under(rules: tuple[FieldRule, ...], fields: tuple[str, ...]) -> tuple[Packet, World]:
    """A packet of an asset claim from a ledger whose policy has `rules`."""
    world = World()
    asset = world.ok(world.asset()).record_id
    world.ok(world.builder().publish_policy(world.policy(rules=rules), world.approvers()))
    world.ok(world.export(world.decision("AssetClaim", asset, fields=fields)))
    certified = world.certify()
    logged = world.store.claim(0)
    stored = world.store.record(asset)
    member = world.app.member("org-a.m1")
    assert logged is not None and stored is not None and member is not None
    view = RecordView("asset", asset, stored.root, tuple(world.app.view_record(stored, member)), stored.tx_hash, 1)
    claim = decode_claim(logged.claim)
    kept = tuple(f.name for f in claim.fields if f.transform is Transform.KEEP)
    path = merkle_path(KECCAK, [logged.leaf], 0)
    return Packet(logged.claim, 0, path, certified, (), openings(view, kept)), world


def test_the_leak_scan_fails_when_the_policy_is_made_to_leak() -> None:
    secret = [("plant_name", "清河屋顶光伏一期"), ("legal_owner", "深圳清河新能源有限公司")]
    honest, _ = packet_under(DEFAULT_RULES, ("capacity_w", "division_code"))
    assert find_leaks([("packet", encode_packet(honest))], secret) == []
    leak = FieldRule("asset", "plant_name", Transform.KEEP, 0)
    rules = tuple(sorted((*DEFAULT_RULES, leak), key=lambda r: (r.record_type, r.field)))
    leaking, _ = packet_under(rules, ("capacity_w", "plant_name"))
    leaks = find_leaks([("packet", encode_packet(leaking))], secret)
    assert any("plant_name as utf-8" in found for found in leaks)
    assert not any("legal_owner" in found for found in leaks)
    assert replace(leaking, openings=()) != leaking
