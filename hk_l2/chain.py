"""Plain values that the EVM side passes around: block stamps, calls, logs, receipts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BlockStamp:
    """One block; reads are pinned to it."""

    number: int
    hash: bytes
    timestamp: int
    """Seconds, EVM time."""


@dataclass(frozen=True, slots=True)
class Call:
    """A contract call that somebody else may send or simulate."""

    to: str | None
    """Checksum address; None creates a contract."""
    data: bytes
    label: str
    """For people: contract and function."""
    value: int = 0


@dataclass(frozen=True, slots=True)
class EventLog:
    """A log entry as the chain has it."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    log_index: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a mined transaction."""

    transaction_hash: bytes
    block_number: int
    block_hash: bytes
    succeeded: bool
    gas_used: int
    effective_gas_price: int
    contract_address: str | None
    logs: tuple[EventLog, ...]
