"""Reading and writing state: a committed reader below, pending writes above."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from mainland_chain.state import codec
from mainland_chain.state.block import StoredRecord

T = TypeVar("T")


class StateReader(Protocol):
    """Committed state, or an overlay on it."""

    def state(self, key: str) -> bytes | None: ...
    def record(self, record_id: bytes) -> StoredRecord | None: ...
    def has_transaction(self, tx_hash: bytes) -> bool: ...


class Overlay:
    """Writes on top of a reader. `StateReader` itself, so overlays stack: one per block, one per transaction."""

    def __init__(self, base: StateReader) -> None:
        self._base = base
        self.writes: dict[str, bytes | None] = {}
        self.records: dict[bytes, StoredRecord] = {}
        self.transactions: set[bytes] = set()

    def state(self, key: str) -> bytes | None:
        return self.writes[key] if key in self.writes else self._base.state(key)

    def record(self, record_id: bytes) -> StoredRecord | None:
        return self.records.get(record_id) or self._base.record(record_id)

    def has_transaction(self, tx_hash: bytes) -> bool:
        return tx_hash in self.transactions or self._base.has_transaction(tx_hash)

    def get(self, kind: type[T], key: str) -> T | None:
        raw = self.state(key)
        return None if raw is None else codec.decode(kind, raw)

    def put(self, key: str, entity: Any) -> None:
        self.writes[key] = codec.encode(entity)

    def merge(self, other: Overlay) -> None:
        """Take over the writes of an overlay that was built on this one."""
        self.writes.update(other.writes)
        self.records.update(other.records)
        self.transactions.update(other.transactions)


def read(reader: StateReader, kind: type[T], key: str) -> T | None:
    """A typed read from any reader."""
    raw = reader.state(key)
    return None if raw is None else codec.decode(kind, raw)


def member_key(member_id: str) -> str:
    return f"member/{member_id}"


def organisation_key(organisation_id: str) -> str:
    return f"organisation/{organisation_id}"


def tls_key(fingerprint: bytes) -> str:
    return f"tls/{fingerprint.hex()}"


def public_key_key(public_key: bytes) -> str:
    return f"key/{public_key.hex()}"


def pseudonym_key_key(destination: bytes) -> str:
    return f"pseudonym/{destination.hex()}"


def nonce_key(member_id: str) -> str:
    return f"nonce/{member_id}"


def asset_key(asset_id: str) -> str:
    return f"asset/{asset_id}"


def device_key(device_id: str) -> str:
    return f"device/{device_id}"


def cursor_key(device_id: str) -> str:
    return f"cursor/{device_id}"


def batch_key(record_id: bytes) -> str:
    return f"batch/{record_id.hex()}"


def lock_key(lock_id: str) -> str:
    return f"lock/{lock_id}"


def telemetry_export_key(destination: bytes, asset_id: str) -> str:
    return f"export/telemetry/{destination.hex()}/{asset_id}"


def exported_key(destination: bytes, record_id: bytes) -> str:
    return f"export/record/{destination.hex()}/{record_id.hex()}"


CORE_ORGANISATIONS = "core-organisations"
POLICY = "policy"
