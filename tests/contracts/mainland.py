"""A mainland ledger as the light client sees it: validator sets that sign checkpoints."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from eth_abi import encode
from eth_hash.auto import keccak
from evm_harness import Contract, Evm
from sm2_reference import Key, sm3

CHECKPOINT_TAG = keccak(b"lianqiao.checkpoint.v1")
VALIDATORS_TYPE = keccak(b"lianqiao.validators.v1")
CHAIN_ID = sm3(b"a mainland ledger for tests")
CHECKPOINT = "(bytes32,uint64,uint64,uint64,uint64,bytes32,bytes32,bytes32)"
START_MS = 1_800_000_000_000


@dataclass(frozen=True)
class Checkpoint:
    """Field by field as in protocol.md, section 5."""

    chain_id: bytes
    epoch: int
    height: int
    time_ms: int
    log_size: int
    log_root: bytes
    header_hash: bytes
    next_validators_hash: bytes

    def values(self) -> tuple[Any, ...]:
        return tuple(self.__dict__.values())

    @property
    def digest(self) -> bytes:
        return keccak(encode([CHECKPOINT], [self.values()]))


@dataclass(frozen=True)
class Member:
    """An organisation and its key."""

    org_id: bytes
    key: Key


@cache
def _member(name: str) -> Member:
    return Member(sm3(f"org {name}".encode()), Key(int.from_bytes(sm3(f"key {name}".encode()), "big") >> 1))


def members(count: int, salt: str = "") -> list[Member]:
    """Members of different organisations, in order of their ids."""
    return sorted((_member(f"{salt}{i}") for i in range(count)), key=lambda member: member.org_id)


def set_hash(chain_id: bytes, epoch: int, validators: list[Member]) -> bytes:
    """validatorsHash."""
    hashes = [keccak(encode(["bytes32", "uint256", "uint256"], [m.org_id, *m.key.public])) for m in validators]
    return keccak(encode(["bytes32", "bytes32", "uint64", "bytes32[]"], [VALIDATORS_TYPE, chain_id, epoch, hashes]))


def bitmap_of(signers: list[int]) -> int:
    return sum(1 << i for i in signers)


def sign(checkpoint: Checkpoint, validators: list[Member], signers: list[int]) -> bytes:
    """Signatures of the members at these positions, in this order."""
    message = CHECKPOINT_TAG + checkpoint.digest
    return b"".join(validators[i].key.sign(message) for i in signers)


@dataclass
class Ledger:
    """A validator set and the next checkpoint it would sign."""

    validators: list[Member]
    chain_id: bytes = CHAIN_ID
    epoch: int = 0
    height: int = 0
    log_size: int = 0
    log_root: bytes = field(default_factory=lambda: keccak(b""))

    @property
    def hash(self) -> bytes:
        return set_hash(self.chain_id, self.epoch, self.validators)

    @property
    def quorum(self) -> list[int]:
        """The first members that make a quorum."""
        return list(range(2 * len(self.validators) // 3 + 1))

    def checkpoint(self, **changes: Any) -> Checkpoint:
        """The next block's checkpoint; the ledger itself does not move."""
        height = changes.get("height", self.height + 1)
        plain = Checkpoint(
            chain_id=self.chain_id,
            epoch=self.epoch,
            height=height,
            time_ms=START_MS + 1000 * height,
            log_size=self.log_size + 10,
            log_root=keccak(b"root %d" % height),
            header_hash=sm3(b"header %d" % height),
            next_validators_hash=self.hash,
        )
        return replace(plain, **changes)

    def certified(self, signers: list[int] | None = None, **changes: Any) -> tuple[Any, int, bytes]:
        """Arguments of `update`."""
        chosen = self.quorum if signers is None else signers
        checkpoint = self.checkpoint(**changes)
        return checkpoint.values(), bitmap_of(chosen), sign(checkpoint, self.validators, chosen)

    def advance(self, arguments: tuple[Any, int, bytes]) -> None:
        """Notes that the client accepted these arguments."""
        checkpoint = Checkpoint(*arguments[0])
        self.height, self.log_size, self.log_root = checkpoint.height, checkpoint.log_size, checkpoint.log_root


@dataclass
class Deployment:
    """Registry, verifier and light client on one EVM."""

    evm: Evm
    registry: Contract
    verifier: str

    @classmethod
    def create(cls, evm: Evm, verifier_code: bytes) -> Deployment:
        return cls(evm, evm.deploy("SM2KeyRegistry"), evm.deploy_code(verifier_code))

    def table(self, member: Member) -> str:
        """The member's key table, registered at need."""
        return str(self.registry.transact("register", *member.key.public))

    def tables(self, validators: list[Member]) -> list[str]:
        return [self.table(member) for member in validators]

    def client(self, ledger: Ledger) -> Contract:
        orgs = [member.org_id for member in ledger.validators]
        return self.evm.deploy(
            "MainlandLightClient",
            self.registry.address,
            self.verifier,
            ledger.chain_id,
            ledger.epoch,
            orgs,
            self.tables(ledger.validators),
        )
