"""The walk of one reading: from the device's bytes to the transaction on the L2, every hash recomputed on the way."""

from __future__ import annotations

from bridge.demo.mainland import AnchoredBatch
from bridge.demo.model import WalkStep
from bridge.demo.run import Run
from lianqiao_base.errors import Fatal
from mainland_chain.light.claims import TelemetryClaim, leaf_hash
from mainland_chain.log.hashing import SM3
from mainland_chain.log.proof import verify_inclusion
from mainland_chain.log.tree import merkle_path
from mainland_chain.records.reading import PREFIX, Reading
from mainland_chain.state.block import decode_header
from mainland_chain.state.transactions import SubmitTelemetry
from mainland_chain.wire import parse


def brightest(batch: AnchoredBatch) -> tuple[int, Reading]:
    """The batch's reading with the most energy, and its place."""
    return max(enumerate(batch.readings), key=lambda item: item[1].energy_wh)


async def walk_of_one_reading(
    run: Run, batch: AnchoredBatch, claim_index: int, transactions: list[tuple[str, bytes]]
) -> tuple[WalkStep, ...]:
    """The steps of the batch's brightest reading.

    `claim_index` is the place among the run's jobs of the telemetry claim that covers `batch`; `transactions` are its L2
    transactions (label, hash). Raises `Fatal("WALK_BROKEN")` when a step does not follow from the one before.
    """
    place, reading = brightest(batch)
    client = run.mainland.client
    record = await client.get_record(batch.outcome.result.record_id)
    index, shown = next((i, f) for i, f in enumerate(record.fields) if f.name == f"{PREFIX}{place:05d}")
    if shown.encoded_value[1:] != reading.encode():
        raise Fatal("WALK_BROKEN", "the stored reading is not the one that was signed")
    path = merkle_path(SM3, [f.leaf for f in record.fields], index)
    verify_inclusion(SM3, shown.leaf, index, len(record.fields), path, record.record_root)
    result = await client.result_proof(batch.outcome.result.tx_hash)
    verify_inclusion(SM3, SM3.leaf(result.leaf_data), result.index, result.size, result.path, result.root)
    header = decode_header(result.header)
    if header.results_root != result.root or result.leaf_data[-32:] != record.record_root:
        raise Fatal("WALK_BROKEN", "the block's results do not hold the record")
    certified = await client.checkpoint(header.height)
    if certified.checkpoint.header_hash != header.hash():
        raise Fatal("WALK_BROKEN", "the certificate is over another header")
    body = parse(batch.transaction.raw).body
    signature = body.signatures[0].hex() if isinstance(body, SubmitTelemetry) else ""
    claim = run.claims[claim_index]
    job, packet = run.jobs[claim_index], run.packets[claim_index]
    if not isinstance(claim, TelemetryClaim):
        raise Fatal("WALK_BROKEN", "the claim is not about telemetry")
    signers = certified.certificate.bitmap.bit_count()
    members = len(run.mainland.genesis.validators)
    return (
        WalkStep(
            "The device signs",
            f"Reading {reading.sequence}: {reading.energy_wh} Wh in a quarter of an hour, {reading.power_w} W, encoded in 36 bytes "
            "and signed with SM2 as part of its interval batch.",
            (("reading", reading.encode().hex()), ("SM2 signature r‖s", signature)),
        ),
        WalkStep(
            "A salted leaf",
            "The ledger checks key, order, time and nameplate, then commits to the value with a salt of its own.",
            (("salt", shown.salt.hex()), ("leaf (SM3)", shown.leaf.hex())),
        ),
        WalkStep(
            "The record root",
            f"{len(record.fields)} leaves in one RFC 6962 tree; {len(path)} siblings lead from this leaf to the root.",
            (*((f"sibling {i}", h.hex()) for i, h in enumerate(path)), ("record root", record.record_root.hex())),
        ),
        WalkStep(
            "The block",
            f"The result of the transaction, with the record root in it, is in the results tree of block {header.height}.",
            (("results root", header.results_root.hex()), ("header hash (SM3)", header.hash().hex())),
        ),
        WalkStep(
            "The quorum certificate",
            f"{signers} of {members} organisations signed the checkpoint with SM2; three are needed.",
            (
                ("checkpoint digest (Keccak-256)", certified.checkpoint.digest().hex()),
                *((f"signature {i}", s.hex()) for i, s in enumerate(certified.certificate.signatures)),
            ),
        ),
        WalkStep(
            "The export claim",
            f"Every validator summed {claim.reading_count} readings to {claim.energy_wh:,} Wh itself and appended the claim as entry "
            f"{job.log_index} of the export log. The readings stay.",
            (
                ("evidence root (SM3)", claim.envelope.evidence_root.hex()),
                ("asset pseudonym", claim.envelope.asset_ref.hex()),
                ("claim leaf (Keccak-256)", leaf_hash(job.claim).hex()),
                ("log root", packet.checkpoint.checkpoint.log_root.hex()),
            ),
            zone="border",
        ),
        WalkStep(
            "On the L2",
            "The light client checked the SM2 quorum itself; the controller checked the Merkle path and recorded the energy.",
            tuple((label, "0x" + tx_hash.hex()) for label, tx_hash in transactions),
            zone="hong_kong",
        ),
    )
