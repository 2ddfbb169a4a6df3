"""What a run leaves behind: the report, the bundle, and the lines of the summary."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from bridge.bundle.build import build_bundle
from bridge.demo.mainland import MAIN_MEMBERS, AnchoredSeries
from bridge.demo.model import (
    ClaimRow,
    DemoReport,
    FlowFigures,
    GasRow,
    MerklePicture,
    RefusalRow,
    StageTime,
    VisibilityRow,
)
from bridge.demo.report import render
from bridge.demo.run import MAIN_ASSET, Run
from bridge.demo.summary import summarise
from bridge.demo.walk import walk_of_one_reading
from mainland_chain.app import clock_ms
from mainland_chain.export.claims import shown_values
from mainland_chain.light.claims import TelemetryClaim, Transform, leaf_hash
from mainland_chain.light.packet import Packet

LIMITS = (
    "The embedded ledger is one process that holds all four validators' keys: its certificates are real, its fault tolerance is not.",
    "The embedded EVM runs in this process and has no consensus: its finality is immediate because nobody else is there.",
    "The telemetry is measured, its times are moved by whole days to just before today, and the devices' keys are simulated.",
    "The sanctions list is a made-up sample, the owner, the investors and the approvals are invented.",
    "TLS uses a development authority made for this run.",
    "No part of this is a certified commercial-cryptography product, and nothing here is legal advice.",
)
SHIFT_NOTE = " Replayed with all times moved by {days} days."


@dataclass(frozen=True, slots=True)
class DemoSummary:
    """For the terminal: sections of (label, value) rows, and where the files are."""

    lines: list[tuple[str, list[tuple[str, str]]]]
    report_path: Path
    bundle_path: Path


async def write_outputs(run: Run, folder: Path) -> DemoSummary:
    """Write `report.html` and `bundle.json` into `folder`. Called while the run's parts still answer."""
    bundle_path, report_path = folder / "bundle.json", folder / "report.html"
    gas = _gas(run)
    report = await _report(run, gas)
    _write(folder, {bundle_path: _bundle(run), report_path: render(report).encode()})
    return DemoSummary(_lines(run, gas, report), report_path, bundle_path)


def _write(folder: Path, files: dict[Path, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path, data in files.items():
        path.write_bytes(data)


def _bundle(run: Run) -> bytes:
    order, _ = run.orders[0]
    with run.hongkong.lock:
        return build_bundle(run.hongkong.node, run.hongkong.evm, order.order_id)


def _transactions(run: Run, item_id: bytes) -> list[tuple[str, bytes]]:
    entries = run.hongkong.store.outbox(item_id, only_open=False)
    return [(e.transaction.call.label, e.transaction.tx_hash) for e in entries]


def _gas(run: Run) -> list[GasRow]:
    rows = []
    items = [*((j.kind, j.packet_id) for j in run.jobs), *(("Mint order", o.order_id) for o, _ in run.orders)]
    with run.hongkong.lock:
        for what, item_id in items:
            for label, tx_hash in _transactions(run, item_id):
                receipt = run.hongkong.evm.receipt(tx_hash)
                if receipt is not None:
                    rows.append(GasRow(f"{what}: {label}", receipt.gas_used, "0x" + tx_hash.hex()))
    return rows


async def _report(run: Run, gas: list[GasRow]) -> DemoReport:
    devices = []
    refusals = []
    for s in run.series:
        codes = {r.reading.sequence: (r.code,) for r in s.refused}
        summary = summarise(s.series, s.flagged, codes)
        note = SHIFT_NOTE.format(days=s.shift_ms // 86_400_000)
        devices.append(replace(summary, provenance=summary.provenance + note))
        refusals += [_row_refusal(s, r.code, r.message, r.reading.sequence) for r in s.refused]
    telemetry = next(i for i, c in enumerate(run.claims) if isinstance(c, TelemetryClaim))
    main = next(s for s in run.series if s.series.asset_id == MAIN_ASSET)
    packet = run.packets[telemetry]
    minted = sum(o.units for o, _ in run.orders)
    readings = sum(len(b.readings) for s in run.series for b in s.batches)
    flagged = sum(len(s.flagged) for s in run.series)
    refused = sum(len(s.refused) for s in run.series)
    duration = sum(s.ms for s in run.stages.done)
    return DemoReport(
        created_ms=clock_ms(),
        duration_ms=duration,
        flow=FlowFigures(
            devices=f"{len(run.series)} devices, {readings:,} readings",
            ledger=f"4 validators, block {run.packets[-1].checkpoint.checkpoint.height}",
            border=f"{len(run.jobs)} claims crossed",
            layer2=f"{minted:,} units minted",
            auditor="1 bundle, verified offline",
        ),
        devices=tuple(devices),
        facts=(
            ("Readings anchored", f"{readings:,}"),
            ("flagged / refused", f"{flagged:,} / {refused:,}"),
            ("Claims that crossed", str(len(run.jobs))),
            ("Units minted", f"{minted:,}"),
            ("Forgeries refused", f"{len(run.refusals)} of {len(run.refusals)}"),
            ("Seconds", f"{duration / 1000:.1f}"),
        ),
        walk=await walk_of_one_reading(
            run, main.batches[0], telemetry, _transactions(run, run.jobs[telemetry].packet_id)
        ),
        merkle=merkle_picture(packet),
        visibility=await _visibility(run),
        claims=tuple(
            ClaimRow(j.kind, j.log_index, tuple({v.name: v.value for v in shown_values(c)}.items()))
            for j, c in zip(run.jobs, run.claims, strict=True)
        ),
        gas=tuple(gas),
        stages=tuple(StageTime(s.name, s.ms) for s in run.stages.done),
        refusals=(*run.refusals, *refusals),
        limits=LIMITS,
        version=version("lianqiao"),
        details=(
            ("Ledger (chain id = SM3 of its genesis)", run.mainland.chain_id.hex()),
            ("L2 chain id", str(run.hongkong.domain.chain_id)),
            ("Light client", run.hongkong.deployment.light_client),
            ("MintController", run.hongkong.deployment.mint_controller),
            ("Token", run.hongkong.token.address),
            ("Asset pseudonym in Hong Kong", run.asset_ref.hex()),
        ),
    )


def _row_refusal(s: AnchoredSeries, code: str, message: str, sequence: int) -> RefusalRow:
    return RefusalRow(f"{s.series.title}: reading {sequence} of the data set", "ledger state machine", code, message)


def merkle_picture(packet: Packet) -> MerklePicture:
    """The inclusion path of a packet's claim, with the side of each sibling (RFC 9162 §2.1.3.2)."""
    siblings = []
    index, last = packet.log_index, packet.checkpoint.checkpoint.log_size - 1
    path = list(packet.inclusion_path)
    while last > 0:
        if index & 1:
            siblings.append(("left", path.pop(0).hex()))
        elif index != last:
            siblings.append(("right", path.pop(0).hex()))
        index, last = index >> 1, last >> 1
    return MerklePicture(
        leaf=leaf_hash(packet.claim).hex(),
        index=packet.log_index,
        size=packet.checkpoint.checkpoint.log_size,
        siblings=tuple(siblings),  # type: ignore[arg-type]
        root=packet.checkpoint.checkpoint.log_root.hex(),
    )


async def _visibility(run: Run) -> tuple[VisibilityRow, ...]:
    record_id = run.asset_outcomes[MAIN_ASSET].result.record_id
    seen = {}
    for role, member in MAIN_MEMBERS.items():
        async with run.mainland.client_as(member) as client:
            seen[role] = {f.name: f for f in (await client.get_record(record_id)).fields}
    rows = []
    for name, field in seen["owner"].items():
        rule = run.policy.rule("asset", name)
        crossed = "nothing" if rule is None else rule.transform.name.lower()
        if rule is not None and rule.transform is Transform.BUCKET:
            crossed += f" of {rule.parameter:,}"
        owner, other, regulator = (
            _seen(seen[role][name].value, seen[role][name].masked, field.grade) for role in MAIN_MEMBERS
        )
        rows.append(VisibilityRow(name, field.grade, owner, other, regulator, crossed))
    return tuple(rows)


def _seen(value: str, masked: bool, grade: str) -> str:
    if grade == "high":
        return "hash only"
    return f"masked: {value}" if masked else value


def _lines(run: Run, gas: list[GasRow], report: DemoReport) -> list[tuple[str, list[tuple[str, str]]]]:
    anchored = [
        (
            s.series.title,
            f"{sum(len(b.readings) for b in s.batches)} readings, {len(s.flagged)} flagged, {len(s.refused)} refused",
        )
        for s in run.series
    ]
    crossed = [
        (f"{c.kind} #{c.log_index}", ", ".join(f"{k}={v}" for k, v in c.fields if not k.endswith("_ms")))
        for c in report.claims
    ]
    minted = [(f"order {o.order_id.hex()[:12]}…", f"{o.units:,} units to 0x{o.recipient.hex()}") for o, _ in run.orders]
    refused = [(r.what, f"{r.code} at {r.gate}") for r in run.refusals]
    return [
        ("Anchored on the mainland", anchored),
        ("Crossed the border", crossed),
        ("Minted in Hong Kong", minted),
        ("Tried and refused", refused),
        ("Gas", [(g.step, f"{g.gas:,}") for g in gas]),
        ("Time", [(s.name, f"{s.ms / 1000:.1f} s") for s in run.stages.done]),
    ]
