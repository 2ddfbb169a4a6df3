"""Rows to dataclasses and back, for what a column does not hold as it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from lianqiao_base.errors import Fatal
from mainland_chain.light.types import CertifiedCheckpoint, Checkpoint, QuorumCertificate
from mainland_chain.state.block import TransactionResult

WORD = 32
SIGNATURE = 64


def corrupt(message: str, subject: str) -> Fatal:
    return Fatal("STORE_CORRUPT", message, subject=subject, hint="stop this node and restore it from a backup")


def encode_flagged(flagged: tuple[tuple[int, tuple[str, ...]], ...]) -> str:
    return json.dumps(flagged, separators=(",", ":")) if flagged else "[]"


def decode_flagged(text: str) -> tuple[tuple[int, tuple[str, ...]], ...]:
    return () if text == "[]" else tuple((int(s), tuple(rules)) for s, rules in json.loads(text))


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    numbers = (checkpoint.epoch, checkpoint.height, checkpoint.time_ms, checkpoint.log_size)
    return b"".join(
        (
            checkpoint.chain_id,
            *(n.to_bytes(WORD, "big") for n in numbers),
            checkpoint.log_root,
            checkpoint.header_hash,
            checkpoint.next_validators_hash,
        )
    )


def decode_checkpoint(data: bytes) -> Checkpoint:
    words = split(data, WORD)
    if len(words) != 8:
        raise corrupt("a checkpoint has eight words", "certificates")
    epoch, height, time_ms, log_size = (int.from_bytes(w, "big") for w in words[1:5])
    return Checkpoint(words[0], epoch, height, time_ms, log_size, words[5], words[6], words[7])


def split(data: bytes, size: int) -> tuple[bytes, ...]:
    """Equal pieces of `data`."""
    if len(data) % size:
        raise corrupt(f"{len(data)} bytes are not a multiple of {size}", "blob")
    return tuple(data[i : i + size] for i in range(0, len(data), size))


def certificate_row(certified: CertifiedCheckpoint) -> dict[str, Any]:
    return {
        "height": certified.checkpoint.height,
        "checkpoint": encode_checkpoint(certified.checkpoint),
        "bitmap": certified.certificate.bitmap.to_bytes(8, "big"),
        "signatures": b"".join(certified.certificate.signatures),
    }


def certified_from_row(row: Sequence[Any]) -> CertifiedCheckpoint:
    """From (checkpoint, bitmap, signatures)."""
    return CertifiedCheckpoint(
        decode_checkpoint(row[0]),
        QuorumCertificate(int.from_bytes(row[1], "big"), split(row[2], SIGNATURE)),
    )


def result_from_row(row: Any) -> TransactionResult:
    return TransactionResult(
        tx_hash=row.tx_hash,
        code=row.code,
        message=row.message,
        record_id=row.record_id,
        record_root=row.record_root,
        log_index=row.log_index,
        flagged=decode_flagged(row.flagged),
    )
