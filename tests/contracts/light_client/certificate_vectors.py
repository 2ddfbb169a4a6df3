"""Good and bad certificates for every verifier, in Solidity or not. Writes tests/vectors/light_client/certificates.json.

    PYTHONPATH=tests/contracts python tests/contracts/light_client/certificate_vectors.py

Each case stands alone: a fresh verifier that knows the chain id, the validator set and its epoch, and has accepted nothing.
`expected` is "ok" or the custom error of IMainlandLightClient.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from eth_hash.auto import keccak
from mainland import CHECKPOINT_TAG, Checkpoint, Ledger, Member, bitmap_of, members, set_hash, sign
from sm2_reference import N, word

FILE = Path(__file__).resolve().parents[2] / "vectors" / "light_client" / "certificates.json"
ZERO = bytes(32)


def _case(name: str, expected: str, checkpoint: Checkpoint, bitmap: int, signatures: bytes) -> dict[str, Any]:
    fields = {key: value.hex() if isinstance(value, bytes) else value for key, value in asdict(checkpoint).items()}
    return {
        "name": name,
        "expected": expected,
        "checkpoint": fields,
        "digest": checkpoint.digest.hex(),
        "bitmap": f"{bitmap:016x}",
        "signatures": [signatures[i : i + 64].hex() for i in range(0, len(signatures), 64)],
    }


def _good(ledger: Ledger) -> list[dict[str, Any]]:
    size = len(ledger.validators)
    everybody = list(range(size))
    choices = {"first quorum": ledger.quorum, "last quorum": everybody[size - len(ledger.quorum) :], "all": everybody}
    checkpoint = ledger.checkpoint()
    return [
        _case(name, "ok", checkpoint, bitmap_of(signers), sign(checkpoint, ledger.validators, signers))
        for name, signers in choices.items()
    ]


def _bad(ledger: Ledger) -> list[dict[str, Any]]:
    validators, quorum = ledger.validators, ledger.quorum
    size = len(validators)
    checkpoint = ledger.checkpoint()
    bitmap = bitmap_of(quorum)
    good = sign(checkpoint, validators, quorum)
    first, rest = good[:64], good[64:]

    def signed(name: str, expected: str, **changes: Any) -> dict[str, Any]:
        """Certified as it stands, but not acceptable."""
        changed = replace(checkpoint, **changes)
        return _case(name, expected, changed, bitmap, sign(changed, validators, quorum))

    def unsigned(name: str, **changes: Any) -> dict[str, Any]:
        """Changed after it was certified."""
        return _case(name, "InvalidCertificate", replace(checkpoint, **changes), bitmap, good)

    def certificate(name: str, expected: str, bits: int, signatures: bytes) -> dict[str, Any]:
        return _case(name, expected, checkpoint, bits, signatures)

    r, s = first[:32], first[32:]
    untagged = b"".join(validators[i].key.sign(checkpoint.digest) for i in quorum)
    other_tag = b"".join(validators[i].key.sign(keccak(b"another purpose") + checkpoint.digest) for i in quorum)
    outsiders: list[Member] = members(size, "outsider")
    cases = [
        signed("other ledger", "WrongChain", chain_id=keccak(b"another ledger")),
        signed("later epoch", "WrongEpoch", epoch=ledger.epoch + 1),
        signed("height zero", "StaleHeight", height=0),
        signed("zero log root", "ZeroLogRoot", log_root=ZERO),
        signed("zero header hash", "ZeroHeaderHash", header_hash=ZERO),
        unsigned("changed height", height=checkpoint.height + 1),
        unsigned("changed time", time_ms=checkpoint.time_ms + 1),
        unsigned("changed log size", log_size=checkpoint.log_size + 1),
        unsigned("changed log root", log_root=keccak(b"other root")),
        unsigned("changed header", header_hash=keccak(b"other header")),
        unsigned("changed next set", next_validators_hash=set_hash(ledger.chain_id, ledger.epoch + 1, validators)),
        certificate("nobody", "QuorumNotReached", 0, b""),
        certificate("one too few", "QuorumNotReached", bitmap_of(quorum[:-1]), good[:-64]),
        certificate("bit beyond the set", "SignerOutsideSet", bitmap | 1 << size, good + first),
        certificate("last bit", "SignerOutsideSet", bitmap | 1 << 63, good + first),
        certificate("signature missing", "SignaturesLengthMismatch", bitmap, good[:-64]),
        certificate("signature too many", "SignaturesLengthMismatch", bitmap, good + first),
        certificate("no signatures", "SignaturesLengthMismatch", bitmap, b""),
        certificate("r zero", "InvalidCertificate", bitmap, ZERO + s + rest),
        certificate("s zero", "InvalidCertificate", bitmap, r + ZERO + rest),
        certificate("r is n", "InvalidCertificate", bitmap, word(N) + s + rest),
        certificate("s is n", "InvalidCertificate", bitmap, r + word(N) + rest),
        certificate("r + s is n", "InvalidCertificate", bitmap, r + word(N - int.from_bytes(r, "big")) + rest),
        certificate("r and s swapped", "InvalidCertificate", bitmap, s + r + rest),
        certificate("all zero", "InvalidCertificate", bitmap, bytes(len(good))),
        certificate("one bit flipped", "InvalidCertificate", bitmap, good[:-1] + bytes([good[-1] ^ 1])),
        certificate("without the tag", "InvalidCertificate", bitmap, untagged),
        certificate("other tag", "InvalidCertificate", bitmap, other_tag),
        certificate("outsiders", "InvalidCertificate", bitmap, sign(checkpoint, outsiders, quorum)),
    ]
    if size > 1:
        moved = bitmap & ~1 | 1 << (size - 1)
        cases += [
            certificate("wrong order", "InvalidCertificate", bitmap, good[64:128] + first + good[128:]),
            certificate("one member's signature for all", "InvalidCertificate", bitmap, first * len(quorum)),
            certificate("bit of an absent member", "InvalidCertificate", moved, good),
        ]
    return cases


def document() -> dict[str, Any]:
    """All vectors; deterministic."""
    groups = []
    for size, epoch in ((1, 0), (4, 0), (7, 3), (10, 2**32)):
        ledger = Ledger(members(size, f"vector {size} "), epoch=epoch)
        groups.append(
            {
                "chain_id": ledger.chain_id.hex(),
                "epoch": epoch,
                "validators_hash": ledger.hash.hex(),
                "quorum": len(ledger.quorum),
                "members": [
                    {"org_id": m.org_id.hex(), "x": word(m.key.public[0]).hex(), "y": word(m.key.public[1]).hex()}
                    for m in ledger.validators
                ],
                "cases": _good(ledger) + _bad(ledger),
            }
        )
    return {
        "description": "Checkpoints and quorum certificates (docs/protocol.md, section 5); hex without prefix",
        "checkpoint_tag": CHECKPOINT_TAG.hex(),
        "sets": groups,
    }


def text() -> str:
    """The file's content."""
    return json.dumps(document(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
