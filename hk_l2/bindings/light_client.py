"""Bindings of `MainlandLightClient` and of the `SM2KeyRegistry` that its validator sets are built from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from hk_l2.bindings.contract import Contract
from hk_l2.chain import BlockStamp, Call

_ZERO_ADDRESS = "0x" + "00" * 20


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Checkpoint as the contract takes it: docs/protocol.md, section 5, in the order of its fields."""

    chain_id: bytes
    epoch: int
    height: int
    time_ms: int
    log_size: int
    log_root: bytes
    header_hash: bytes
    next_validators_hash: bytes


@dataclass(frozen=True, slots=True)
class LightClientHead:
    """Last accepted checkpoint; all zero but the epoch before the first one."""

    epoch: int
    height: int
    time_ms: int
    log_size: int


class MainlandLightClient(Contract):
    """Light client of the mainland ledger."""

    artifact = "MainlandLightClient"

    def head(self, at: BlockStamp | None = None) -> LightClientHead:
        """Last accepted checkpoint."""
        return LightClientHead(*self._read_all("head", at=at))

    def root_of(self, log_size: int, at: BlockStamp | None = None) -> bytes | None:
        """Log root certified for a log size, or None."""
        root = bytes(self._read("rootOf", log_size, at=at))
        return root if any(root) else None

    def frozen(self, at: BlockStamp | None = None) -> bool:
        """Whether an equivocation has frozen the client."""
        return bool(self._read("frozen", at=at))

    def chain_id(self, at: BlockStamp | None = None) -> bytes:
        """The ledger it follows."""
        return bytes(self._read("chainId", at=at))

    def verify_inclusion(
        self, claim: bytes, index: int, log_size: int, proof: Sequence[bytes], at: BlockStamp | None = None
    ) -> bool:
        """Whether the claim is in the log; raises `RevertError` when frozen or when the size is unknown."""
        return bool(self._read("verifyInclusion", claim, index, log_size, list(proof), at=at))

    def update(self, checkpoint: Checkpoint, bitmap: int, signatures: bytes) -> Call:
        """Accepts a checkpoint of the current epoch. `signatures`: `r ‖ s` per set bit."""
        return self._write("update", astuple(checkpoint), bitmap, signatures)

    def update_and_rotate(
        self, checkpoint: Checkpoint, bitmap: int, signatures: bytes, org_ids: Sequence[bytes], tables: Sequence[str]
    ) -> Call:
        """Accepts a checkpoint by which the validator set hands over to the given one."""
        return self._write("updateAndRotate", astuple(checkpoint), bitmap, signatures, list(org_ids), list(tables))

    def report_equivocation(
        self, a: Checkpoint, bitmap_a: int, signatures_a: bytes, b: Checkpoint, bitmap_b: int, signatures_b: bytes
    ) -> Call:
        """Freezes the client on proof of two certified checkpoints of one height."""
        return self._write("reportEquivocation", astuple(a), bitmap_a, signatures_a, astuple(b), bitmap_b, signatures_b)


class SM2KeyRegistry(Contract):
    """Registry of SM2 keys: each key becomes a table of curve points in contract code."""

    artifact = "SM2KeyRegistry"

    def table_of(self, x: int, y: int, at: BlockStamp | None = None) -> str | None:
        """Table of a key, or None when it is not registered."""
        table = str(self._read("tableOf", x, y, at=at))
        return None if table == _ZERO_ADDRESS else table

    def register(self, x: int, y: int) -> Call:
        """Registers a key (about 4 million gas)."""
        return self._write("register", x, y)
