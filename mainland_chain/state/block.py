"""Headers, results and what one block commits (docs/protocol.md §3). Pure data, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lianqiao_base.errors import Rejected
from mainland_chain.crypto.sm3 import sm3, tag
from mainland_chain.light.types import CertifiedCheckpoint, Checkpoint, QuorumCertificate

HEADER_VERSION = 1


def _u64(value: int) -> bytes:
    return value.to_bytes(8, "big")


@dataclass(frozen=True, slots=True)
class Header:
    """Header of one block. Hashes and roots have 32 bytes; times are ms UTC."""

    chain_id: bytes
    height: int
    """1 for the first block."""
    time_ms: int
    previous_header_hash: bytes
    tx_root: bytes
    """SM3 tree over the ordinary transactions."""
    results_root: bytes
    """SM3 tree over their results."""
    state_commitment: bytes
    """Running SM3 commitment to every state write."""
    export_log_size: int
    export_log_root: bytes
    epoch: int
    validators_hash: bytes
    """Set that certifies this block."""
    next_validators_hash: bytes
    """Set that certifies the next block."""

    def encode(self) -> bytes:
        return b"".join(
            (
                bytes([HEADER_VERSION]),
                self.chain_id,
                _u64(self.height),
                _u64(self.time_ms),
                self.previous_header_hash,
                self.tx_root,
                self.results_root,
                self.state_commitment,
                _u64(self.export_log_size),
                self.export_log_root,
                _u64(self.epoch),
                self.validators_hash,
                self.next_validators_hash,
            )
        )

    def hash(self) -> bytes:
        return sm3(tag("lianqiao.header.v1") + self.encode())

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(
            chain_id=self.chain_id,
            epoch=self.epoch,
            height=self.height,
            time_ms=self.time_ms,
            log_size=self.export_log_size,
            log_root=self.export_log_root,
            header_hash=self.hash(),
            next_validators_hash=self.next_validators_hash,
        )


HEADER_LENGTH = 1 + 32 + 8 + 8 + 32 * 4 + 8 + 32 + 8 + 64


def decode_header(data: bytes) -> Header:
    """Inverse of `Header.encode`. Raises `Rejected("BAD_HEADER")` for another length or version."""
    if len(data) != HEADER_LENGTH or data[0] != HEADER_VERSION:
        raise Rejected("BAD_HEADER", f"a version {HEADER_VERSION} header has {HEADER_LENGTH} bytes")
    position = 1

    def take(n: int) -> bytes:
        nonlocal position
        position += n
        return data[position - n : position]

    def number() -> int:
        return int.from_bytes(take(8), "big")

    return Header(
        chain_id=take(32),
        height=number(),
        time_ms=number(),
        previous_header_hash=take(32),
        tx_root=take(32),
        results_root=take(32),
        state_commitment=take(32),
        export_log_size=number(),
        export_log_root=take(32),
        epoch=number(),
        validators_hash=take(32),
        next_validators_hash=take(32),
    )


@dataclass(frozen=True, slots=True)
class TransactionResult:
    """What became of one transaction in a block."""

    tx_hash: bytes
    code: str
    """"OK" or the refusal's code (`mainland_chain.state.refusals`)."""
    message: str = ""
    record_id: bytes = b""
    record_root: bytes = b""
    log_index: int | None = None
    flagged: tuple[tuple[int, tuple[str, ...]], ...] = ()
    """(reading sequence, quality rules it met), for accepted telemetry."""

    @property
    def ok(self) -> bool:
        return self.code == "OK"


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as the ledger keeps it. `data` is `mainland_chain.records.record.Record.encoded`."""

    record_id: bytes
    record_type: str
    tx_hash: bytes
    height: int
    organisation_id: str
    """Organisation of the member that submitted it."""
    root: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class LoggedClaim:
    """One entry of the export log."""

    index: int
    claim: bytes
    leaf: bytes
    tx_hash: bytes
    record_ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class LogNode:
    """A stored node of the export log: the perfect subtree `index` of 2**level leaves."""

    level: int
    index: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class BlockCommit:
    """Everything one block writes. A store persists all of it in one transaction, or nothing."""

    header: Header
    header_hash: bytes
    transactions: tuple[bytes, ...]
    """Serialized SignedTransaction messages, in block order."""
    results: tuple[TransactionResult, ...]
    result_leaves: tuple[bytes, ...]
    """Leaf data of the results tree."""
    writes: tuple[tuple[str, bytes | None], ...]
    """Sorted (key, value); None deletes."""
    records: tuple[StoredRecord, ...]
    claims: tuple[LoggedClaim, ...]
    log_nodes: tuple[LogNode, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """Newest committed block."""

    header: Header
    header_hash: bytes


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """A committed transaction with its place."""

    height: int
    index: int
    signed: bytes
    result: TransactionResult


class LedgerStore(Protocol):
    """What the application and the service need of a database. Reads see the last commit. Raises `Retryable` when the database is
    busy or away, `Fatal("STORE_CORRUPT")` when what it holds contradicts itself."""

    def head(self) -> Head | None: ...
    def state(self, key: str) -> bytes | None: ...
    def record(self, record_id: bytes) -> StoredRecord | None: ...
    def log_node(self, level: int, index: int) -> bytes: ...
    def claim(self, index: int) -> LoggedClaim | None: ...
    def transaction(self, tx_hash: bytes) -> StoredTransaction | None: ...
    def header_at(self, height: int) -> Header | None: ...
    def result_leaves(self, height: int) -> tuple[bytes, ...]: ...
    def commit(self, block: BlockCommit) -> None: ...
    def save_certificate(self, certified: CertifiedCheckpoint) -> None: ...
    def certified(self, height: int | None = None) -> CertifiedCheckpoint | None:
        """The certified checkpoint at `height`, or the newest one."""
        ...

    def certified_from(self, height: int, limit: int) -> tuple[CertifiedCheckpoint, ...]:
        """Certified checkpoints with at least `height`, oldest first."""
        ...


__all__ = [
    "BlockCommit",
    "CertifiedCheckpoint",
    "Head",
    "Header",
    "LedgerStore",
    "LogNode",
    "LoggedClaim",
    "QuorumCertificate",
    "StoredRecord",
    "StoredTransaction",
    "TransactionResult",
    "decode_header",
]
