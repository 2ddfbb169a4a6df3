"""A report as a run would build it: real series under the ledger's own rules, and made-up figures for the rest."""

from __future__ import annotations

import hashlib
from functools import cache

from bridge.demo.data import DeviceSeries, load_all
from bridge.demo.model import (
    ClaimRow,
    DemoReport,
    FlowFigures,
    GasRow,
    MerklePicture,
    RefusalRow,
    StageTime,
    VisibilityRow,
    WalkStep,
)
from bridge.demo.summary import summarise
from mainland_chain.log.hashing import KECCAK
from mainland_chain.state import telemetry
from mainland_chain.state.entities import Device, DeviceCursor, SigningMode
from mainland_chain.state.refusals import TransactionRefused

Rules = dict[int, tuple[str, ...]]
LATER_MS = 2_000_000_000_000


@cache
def judged(series: DeviceSeries) -> tuple[Rules, Rules]:
    """Flagged and refused readings, by sequence number, as the ledger decides when each refused reading is left out."""
    device = Device(
        series.device_id, series.asset_id, "org", b"", b"", series.rated_power_w, series.interval_ms, SigningMode.BATCH
    )
    flagged: Rules = {}
    refused: Rules = {}
    cursor: DeviceCursor | None = None
    for reading in series.readings:
        try:
            telemetry._check(reading, device, cursor, LATER_MS)
        except TransactionRefused as error:
            refused[reading.sequence] = (error.refusal.name,)
            continue
        if rules := telemetry._quality(reading, device, cursor):
            flagged[reading.sequence] = rules
        cursor = telemetry._advance(reading, cursor)
    return flagged, refused


def digest(name: str) -> str:
    return "0x" + hashlib.sha256(name.encode()).hexdigest()


def merkle_picture(index: int = 2, size: int = 5) -> MerklePicture:
    leaves = [KECCAK.leaf(bytes([i])) for i in range(size)]

    def root(part: list[bytes]) -> bytes:
        if len(part) == 1:
            return part[0]
        half = 1 << ((len(part) - 1).bit_length() - 1)
        return KECCAK.node(root(part[:half]), root(part[half:]))

    def path(at: int, part: list[bytes]) -> list[tuple[str, str]]:
        if len(part) == 1:
            return []
        half = 1 << ((len(part) - 1).bit_length() - 1)
        if at < half:
            return [*path(at, part[:half]), ("right", "0x" + root(part[half:]).hex())]
        return [*path(at - half, part[half:]), ("left", "0x" + root(part[:half]).hex())]

    return MerklePicture("0x" + leaves[index].hex(), index, size, tuple(path(index, leaves)), "0x" + root(leaves).hex())  # type: ignore[arg-type]


def sample_report() -> DemoReport:
    devices = tuple(summarise(series, *judged(series)) for series in load_all())
    return DemoReport(
        created_ms=1_795_371_120_000,
        duration_ms=31_400,
        flow=FlowFigures(
            devices="3 devices, 1,460 readings",
            ledger="1,456 readings anchored in 43 blocks, 4 of 5 validators sign",
            border="3 claims and 3 packets crossed",
            layer2="400,000 units minted, 1,033,208 gas",
            auditor="21 of 21 checks pass",
        ),
        devices=devices,
        facts=(
            ("readings anchored", "1,456"),
            ("claims that crossed", "3"),
            ("units minted", "400,000"),
            ("gas of one mint", "178,412"),
            ("seconds in all", "31.4"),
        ),
        walk=_walk(),
        merkle=merkle_picture(),
        visibility=(
            VisibilityRow("plant_name", "low", "full", "full", "full", "nothing"),
            VisibilityRow("division_code", "medium", "full", "masked", "full", "province: 640000"),
            VisibilityRow("owner_mobile", "high", "full (own key)", "hash only", "hash only", "nothing"),
            VisibilityRow("readings", "medium", "full", "masked", "full", "sum per interval"),
        ),
        claims=(
            ClaimRow("AssetClaim", 0, (("asset_ref", digest("ref")), ("capacity_w", "400000"), ("region", "640000"))),
            ClaimRow("TelemetryClaim", 1, (("energy_wh", "4518210"), ("reading_count", "480"), ("flagged_count", "0"))),
            ClaimRow("UnitLockClaim", 2, (("units", "400000"), ("filing_reference", "CSRC-2026-0117"))),
        ),
        gas=(
            GasRow("MainlandLightClient.update (4 of 5)", 187_204, digest("tx0")),
            GasRow("MintController.proveLock", 141_992, digest("tx1")),
            GasRow("MintController.proveTelemetry", 128_340, digest("tx2")),
            GasRow("MintController.mint", 178_412, digest("tx3")),
        ),
        stages=(
            StageTime("keys, certificates and genesis", 640),
            StageTime("contracts deployed, 5 comb tables built", 14_210),
            StageTime("telemetry signed and anchored", 3_120),
            StageTime("claims exported", 880),
            StageTime("packets verified, mint final", 8_730),
            StageTime("bundle built and verified", 1_240),
        ),
        refusals=(
            RefusalRow(
                "certificate with one signature twice",
                "light client",
                "DuplicateSigner",
                "signers must strictly increase",
            ),
            RefusalRow(
                "energy raised by 1 Wh in a claim",
                "border, inclusion proof",
                "BAD_INCLUSION",
                "the path does not lead there",
            ),
            RefusalRow("the same order a second time", "MintController", "OrderUsed", "this order was minted already"),
        ),
        limits=(
            "The embedded ledger is one process with five keys: real certificates, no fault tolerance.",
            "The EVM runs in this process and has no finality; a real network's rule is in its profile.",
            "The sanctions list is a sample.",
            "Device keys are simulated in software; the certificate authority is made for development.",
        ),
        version="0.1.0",
        details=(("chain id", digest("chain")), ("L2 chain id", "31337"), ("MintController", "0x" + "5f" * 20)),
    )


def _walk() -> tuple[WalkStep, ...]:
    def step(title: str, text: str, zone: str, *names: str) -> WalkStep:
        return WalkStep(title, text, tuple((n, digest(n)) for n in names), zone)  # type: ignore[arg-type]

    return (
        WalkStep(
            "Reading",
            "36 bytes, signed by the device's key.",
            (
                ("bytes", "0000000000000031" + "00" * 28),
                ("energy", "27,977 Wh"),
                ("signature", digest("s") + digest("t")[2:]),
            ),
        ),
        step("Leaf", "The salted hash of one field of the record.", "mainland", "salt", "leaf"),
        step("Record root", "All fields of the batch under one hash.", "mainland", "record root"),
        step("Results root", "Every record of the block.", "mainland", "results root"),
        step("Header", "The block's header commits to the results and to the export log.", "mainland", "header hash"),
        step("Checkpoint", "What the validators sign.", "mainland", "digest"),
        WalkStep(
            "Certificate",
            "Four of five organisations.",
            (("signers", "org-a, org-b, org-d, org-e"), ("bitmap", "0b11011")),
        ),
        step("Claim", "Transformed by the policy and appended to the export log.", "border", "claim leaf"),
        step("Log root", "Proven inside the checkpoint.", "border", "log root"),
        step("Mint", "The contract checked the certificate itself.", "hong_kong", "transaction"),
    )
