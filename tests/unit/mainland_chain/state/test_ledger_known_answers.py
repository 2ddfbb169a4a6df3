"""Formats that must not change by accident: everything here is hashed or signed by somebody else's copy of this software."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lianqiao.ledger.v1 import transaction_pb2 as pb

from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.export.decision import ExportDecision
from mainland_chain.export.policy import ExportDestination, ExportPolicy, FieldRule
from mainland_chain.light.claims import (
    CLAIM_TYPES,
    AssetClaim,
    ClaimEnvelope,
    ExportedField,
    TelemetryClaim,
    Transform,
    UnitLockClaim,
    destination_id,
    encode_claim,
    leaf_hash,
)
from mainland_chain.light.genesis import Genesis, GenesisMember, GenesisOrganisation, GenesisValidator
from mainland_chain.light.types import Checkpoint
from mainland_chain.records.reading import Reading, batch_message, reading_message, telemetry_record
from mainland_chain.records.record import SealedField, make_record, record_id
from mainland_chain.state import codec
from mainland_chain.state.block import Header, TransactionResult
from mainland_chain.state.entities import Asset, DeviceCursor
from mainland_chain.state.execution import initial_commitment, next_commitment, result_leaf
from mainland_chain.state.refusals import Refusal
from mainland_chain.state.signatures import approval_message, possession_message, transaction_message
from mainland_chain.wire import approved_bytes, serialize, signed_bytes, transaction_hash

VECTORS = Path(__file__).parents[4] / "tests" / "vectors" / "ledger" / "formats.json"
CHAIN, SEED = bytes(range(32)), bytes(range(32, 64))
KEYS = [PrivateKey.from_bytes(i.to_bytes(32, "big")) for i in range(1, 6)]
CONTROLLER, ISSUER = b"\x11" * 20, b"\x22" * 20
DESTINATION = destination_id(31337, CONTROLLER)
ORGANISATIONS = ("org-a", "org-b", "org-c", "org-d")


def _genesis() -> Genesis:
    return Genesis.create(
        "vectors",
        1_790_000_000_000,
        [GenesisOrganisation(o, o.upper(), "core") for o in ORGANISATIONS],
        [
            GenesisMember(f"{o}.m1", o, "core", k.public_key, "Q", bytes([i]) * 32)
            for i, (o, k) in enumerate(zip(ORGANISATIONS, KEYS[:4], strict=True))
        ],
        [GenesisValidator(o, k.public_key) for o, k in zip(ORGANISATIONS, KEYS[1:], strict=True)],
    )


def _envelope(kind: type) -> ClaimEnvelope:
    return ClaimEnvelope(
        CLAIM_TYPES[kind], CHAIN, DESTINATION, b"a" * 32, 1, b"d" * 32, b"e" * 32, 7, 1_790_000_000_000
    )


def computed() -> dict[str, str]:
    """Name -> hex or text, as this version computes it."""
    genesis = _genesis()
    asset = make_record(
        "asset",
        SEED,
        {"asset_id": "plant-001", "capacity_w": 408_000, "legal_owner": "清河新能源", "unit_count": 1_000_000},
        (SealedField("contact_name", b"l" * 32, b"c" * 61),),
    )
    readings = [Reading(i, 1_790_000_000_000 + i * 900_000, 1000 + i, 4000 - i, 500, i & 1) for i in range(1, 6)]
    encoded = [r.encode() for r in readings]
    telemetry = telemetry_record(SEED, "plant-001", "inverter-1", 1_790_000_000_000, readings, encoded)
    header = Header(
        CHAIN, 7, 1_790_000_000_000, b"p" * 32, b"t" * 32, b"r" * 32, b"s" * 32, 3, b"x" * 32, 0, b"v" * 32, b"n" * 32
    )
    fields = (ExportedField("capacity_w", Transform.BUCKET, "400000-499999"),)
    claims = {
        "asset": AssetClaim(_envelope(AssetClaim), b"p" * 32, 1_000_000, fields),
        "telemetry": TelemetryClaim(_envelope(TelemetryClaim), 1, 2, 3, 4, 5, 6, ()),
        "lock": UnitLockClaim(
            _envelope(UnitLockClaim),
            b"l" * 32,
            5000,
            ISSUER,
            "CSRC-2026-0001",
            1_800_000_000_000,
            1_790_000_000_001,
            (),
        ),
    }
    policy = ExportPolicy(
        1,
        1,
        2**53 - 1,
        (ExportDestination(DESTINATION, 31337, CONTROLLER, b"k" * 32),),
        (KEYS[0].public_key,),
        (FieldRule("asset", "capacity_w", Transform.BUCKET, 100_000),),
    )
    decision = ExportDecision(
        "ALLOW",
        "AssetClaim",
        (b"r" * 32,),
        ("capacity_w",),
        DESTINATION,
        1,
        "备案1",
        "批准2",
        3,
        b"v" * 32,
        b"d" * 32,
        1,
        2,
    )
    tx = pb.Transaction(chain_id=CHAIN, signer="org-a.m1", nonce=9)
    tx.lock_units.CopyFrom(
        pb.LockUnits(
            lock_id="lock-001",
            asset_id="plant-001",
            units=5000,
            destination=DESTINATION,
            issuer=ISSUER,
            filing_reference="CSRC-2026-0001",
            expires_at_ms=1_800_000_000_000,
            record_seed=SEED,
        )
    )
    raw = serialize(tx)
    admission = pb.AdmitMember(member_id="court-1.m1", organisation_id="court-1", role=2, public_key=KEYS[4].public_key)  # type: ignore[arg-type]
    admission.approvals.add(member_id="org-a.m1", signature=bytes(64))
    writes = [("asset/plant-001", codec.encode(Asset("plant-001", "org-a", b"r" * 32, 10, 3))), ("gone", None)]
    refused = TransactionResult(transaction_hash(raw), "UNITS_EXCEEDED")
    out: dict[str, bytes | str] = {
        "genesis chain id": genesis.chain_id,
        "genesis validators hash": genesis.validator_set().hash,
        "record of an asset, encoded": asset.encoded,
        "record of an asset, root": asset.root,
        "record of an asset, salt of capacity_w": asset.open("capacity_w").salt,
        "record of telemetry, root": telemetry.root,
        "record id": record_id(transaction_hash(raw)),
        "reading message": reading_message(CHAIN, "inverter-1", encoded[0]),
        "batch message": batch_message(CHAIN, "inverter-1", encoded),
        "transaction": raw,
        "transaction hash": transaction_hash(raw),
        "transaction message": transaction_message(CHAIN, raw),
        "transaction, signed (signature of zeros)": signed_bytes(raw, bytes(64)),
        "approval message": approval_message(CHAIN, approved_bytes(admission)),
        "possession message": possession_message(CHAIN, KEYS[4].public_key, "court-1.m1"),
        "decision": decision.canonical_bytes().decode(),
        "decision message": decision.signing_message(CHAIN),
        "header": header.encode(),
        "header hash": header.hash(),
        "checkpoint digest": header.checkpoint().digest(),
        "checkpoint digest of an empty log": Checkpoint(CHAIN, 0, 1, 2, 0, b"x" * 32, b"h" * 32, b"n" * 32).digest(),
        "result leaf": result_leaf(refused),
        "initial commitment": initial_commitment(CHAIN),
        "next commitment": next_commitment(initial_commitment(CHAIN), writes),
        "state of a policy": codec.encode(policy).decode(),
        "state of a cursor": codec.encode(DeviceCursor(1, 2, 3, -4, 5)).decode(),
        "numbers of refusals": ", ".join(f"{r.name} {r.value}" for r in Refusal),
    }
    for name, claim in claims.items():
        out[f"claim of {name}"] = encode_claim(claim)
        out[f"claim of {name}, leaf"] = leaf_hash(encode_claim(claim))
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in out.items()}


KNOWN: dict[str, str] = json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]


@pytest.mark.parametrize("name", sorted(computed()))
def test_the_format_is_that_of_version_1(name: str) -> None:
    assert computed()[name] == KNOWN[name]


def test_every_vector_is_used() -> None:
    assert set(KNOWN) == set(computed())
