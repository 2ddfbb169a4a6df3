"""A ledger in a few lines, with real keys, trees and certificates: what honest (and lying) validators would produce."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from mainland_chain.crypto.keccak import keccak256
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.crypto.sm3 import sm3
from mainland_chain.light.claims import (
    CLAIM_TYPES,
    AssetClaim,
    Claim,
    ClaimEnvelope,
    ExportedField,
    TelemetryClaim,
    Transform,
    UnitLockClaim,
    encode_claim,
    leaf_hash,
)
from mainland_chain.light.genesis import Genesis, GenesisMember, GenesisOrganisation, GenesisValidator
from mainland_chain.light.packet import FieldOpening, Packet
from mainland_chain.light.types import (
    CertifiedCheckpoint,
    Checkpoint,
    QuorumCertificate,
    Rotation,
    Validator,
    ValidatorSet,
    org_id,
)
from mainland_chain.log.hashing import KECCAK, SM3
from mainland_chain.log.tree import merkle_path, merkle_root

T0 = 1_760_000_000_000
DESTINATION = keccak256(b"some destination")
ASSET_REF = sm3(b"asset pseudonym")
LOCK_REF = sm3(b"lock pseudonym")


def make_openings(values: dict[str, bytes], kept: tuple[str, ...]) -> tuple[bytes, tuple[FieldOpening, ...]]:
    """Record root and openings of a record with these encoded values."""
    names = sorted(values)
    blank = [FieldOpening(n, values[n], sm3(b"salt" + n.encode()), i, len(names), ()) for i, n in enumerate(names)]
    leaves = [o.leaf() for o in blank]
    full = [dataclasses.replace(o, path=tuple(merkle_path(SM3, leaves, o.index))) for o in blank]
    return merkle_root(SM3, leaves), tuple(o for o in full if o.name in kept)


@dataclass
class SimulatedLedger:
    """`clock` is the time of the last block; every claim is a block, checkpoints certify the last block."""

    destination: bytes = DESTINATION
    clock: int = T0
    keys: dict[bytes, PrivateKey] = field(default_factory=dict)
    claims: list[bytes] = field(default_factory=list)
    openings: list[tuple[FieldOpening, ...]] = field(default_factory=list)
    rotations: list[Rotation] = field(default_factory=list)
    height: int = 0

    def __post_init__(self) -> None:
        names = [f"org-{i}" for i in range(4)]
        keys = {name: PrivateKey.generate() for name in names}
        self.genesis = Genesis.create(
            "simulated",
            self.clock,
            [GenesisOrganisation(n, n, "core") for n in names],
            [GenesisMember(f"member-{n}", n, "core", keys[n].public_key, "Q", sm3(n.encode())) for n in names],
            [GenesisValidator(n, keys[n].public_key) for n in names],
        )
        self.keys = {key.public_key: key for key in keys.values()}
        self.validators = self.genesis.validator_set()

    @property
    def chain_id(self) -> bytes:
        return self.genesis.chain_id

    def envelope(self, kind: type[Claim], evidence_root: bytes, **changes: object) -> ClaimEnvelope:
        self.height += 1
        self.clock += 1000
        envelope = ClaimEnvelope(
            CLAIM_TYPES[kind],
            self.chain_id,
            self.destination,
            ASSET_REF,
            1,
            sm3(b"decision"),
            evidence_root,
            self.height,
            self.clock,
        )
        return dataclasses.replace(envelope, **changes)  # type: ignore[arg-type]

    def append(self, claim: Claim, openings: tuple[FieldOpening, ...] = ()) -> int:
        self.claims.append(encode_claim(claim))
        self.openings.append(openings)
        return len(self.claims) - 1

    def asset(self, unit_count: int = 1000, **envelope: object) -> int:
        values = {"capacity_kw": b"\x01408", "owner": b"\x02secret name", "profile": b"\x02pv_revenue_right"}
        root, openings = make_openings(values, ("capacity_kw", "profile"))
        fields = (
            ExportedField("capacity_kw", Transform.KEEP, "408"),
            ExportedField("profile", Transform.KEEP, "pv_revenue_right"),
            ExportedField("province", Transform.REGION, "44"),
        )
        kind = self.envelope(AssetClaim, root, **envelope)
        return self.append(AssetClaim(kind, keccak256(b"pv_revenue_right"), unit_count, fields), openings)

    def telemetry(self, energy_wh: int = 5000, cumulative: int | None = None, **envelope: object) -> int:
        start = self.clock
        kind = self.envelope(TelemetryClaim, sm3(b"many records"), **envelope)
        return self.append(TelemetryClaim(kind, start, self.clock, energy_wh, cumulative or energy_wh, 96, 1, ()))

    def lock(self, issuer: bytes, units: int = 500, lock_ref: bytes = LOCK_REF, days: int = 30) -> int:
        root, openings = make_openings({"issuer": b"\x03" + issuer, "units": b"\x01%d" % units}, ("units",))
        envelope = self.envelope(UnitLockClaim, root)
        expiry = self.clock + days * 86_400_000
        fields = (ExportedField("units", Transform.KEEP, str(units)),)
        return self.append(
            UnitLockClaim(envelope, lock_ref, units, issuer, "CSRC-2026-001", expiry, expiry, fields), openings
        )

    def checkpoint(
        self,
        *,
        signers: int | None = None,
        next_set: ValidatorSet | None = None,
        size: int | None = None,
        **changes: object,
    ) -> CertifiedCheckpoint:
        """Certified by the first `signers` members (a quorum by default) over the first `size` claims (all)."""
        leaves = [leaf_hash(c) for c in self.claims[:size]]
        body = Checkpoint(
            self.chain_id,
            self.validators.epoch,
            self.height,
            self.clock,
            len(leaves),
            merkle_root(KECCAK, leaves),
            sm3(b"header" + self.height.to_bytes(8, "big")),
            (next_set or self.validators).hash,
        )
        return self.certify(dataclasses.replace(body, **changes), signers)  # type: ignore[arg-type]

    def certify(self, body: Checkpoint, signers: int | None = None) -> CertifiedCheckpoint:
        members = self.validators.members[: self.validators.quorum if signers is None else signers]
        signatures = tuple(self.keys[m.public_key].sign(body.signing_message()) for m in members)
        return CertifiedCheckpoint(body, QuorumCertificate((1 << len(members)) - 1, signatures))

    def next_set(self, names: tuple[str, ...] = ("new-1", "new-2", "new-3", "new-4", "new-5")) -> ValidatorSet:
        members = []
        for name in names:
            key = PrivateKey.generate()
            self.keys[key.public_key] = key
            members.append(Validator(org_id(name), key.public_key))
        return ValidatorSet(self.chain_id, self.validators.epoch + 1, tuple(sorted(members, key=lambda m: m.org_id)))

    def rotate(self) -> Rotation:
        incoming = self.next_set()
        self.height += 1
        self.clock += 1000
        rotation = Rotation(self.checkpoint(next_set=incoming), incoming)
        self.rotations.append(rotation)
        self.validators = incoming
        return rotation

    def packet(self, index: int, certified: CertifiedCheckpoint | None = None) -> Packet:
        if certified is None:
            certified = self.checkpoint()
        leaves = [leaf_hash(c) for c in self.claims[: certified.checkpoint.log_size]]
        path = tuple(merkle_path(KECCAK, leaves, index))
        return Packet(self.claims[index], index, path, certified, tuple(self.rotations), self.openings[index])
