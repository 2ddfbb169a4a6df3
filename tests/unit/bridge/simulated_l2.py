"""An L2 that does what real ones do on a bad day: late blocks, reorganisations, lost mempools, taken nonces, dead nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from bridge.delivery.layer2 import Proof
from hk_l2.bindings import LightClientHead, LockInfo, OrderState
from hk_l2.chain import BlockStamp, Call, Receipt
from hk_l2.errors import EvmUnavailable, NonceConflict, RevertError
from hk_l2.finality import FinalityState
from hk_l2.txsender import PreparedTransaction
from hk_l2.typed_data import ClearanceData, Domain, MintOrder
from mainland_chain.crypto.keccak import keccak256
from mainland_chain.light.claims import leaf_hash
from mainland_chain.light.types import CertifiedCheckpoint, Rotation

SENDER = "0x" + "11" * 20
REPORT = b"report"


@dataclass
class Block:
    """`effects` are the leaves proven in it."""

    hash: bytes
    transactions: list[PreparedTransaction]
    effects: list[bytes]


@dataclass
class SimulatedL2:
    """Implements `Layer2` for packets and reports; every root is known. Blocks are made by `mine`, or at once with `automine`."""

    automine: bool = True
    depth: int = 0
    """Blocks on top until a block is final."""
    down: bool = False
    reverts: Callable[[bytes], RevertError | None] = lambda leaf: None
    blocks: list[Block] = field(default_factory=lambda: [Block(keccak256(b"genesis"), [], [])])
    mempool: list[PreparedTransaction] = field(default_factory=list)
    calls: dict[bytes, bytes] = field(default_factory=dict)
    broadcasts: list[bytes] = field(default_factory=list)
    fork: int = 0
    next_nonce: int = 0
    domain: Domain = field(default_factory=lambda: Domain(31337, "0x" + "22" * 20))

    def latest(self) -> BlockStamp:
        self._alive()
        return BlockStamp(len(self.blocks) - 1, self.blocks[-1].hash, 0)

    def head(self) -> LightClientHead:
        return LightClientHead(0, 0, 0, 0)

    def frozen(self, at: BlockStamp) -> bool:
        self._alive()
        return any(effect.startswith(REPORT) for block in self.blocks[: at.number + 1] for effect in block.effects)

    def root_of(self, log_size: int) -> bytes | None:
        return self.roots.get(log_size)

    roots: dict[int, bytes] = field(default_factory=dict)

    def claim_recorded(self, leaf: bytes, at: BlockStamp) -> bool:
        self._alive()
        return any(leaf in block.effects for block in self.blocks[: at.number + 1])

    def lock_info(self, lock_ref: bytes) -> LockInfo | None:
        return None

    def order_state(self, order_id: bytes, at: BlockStamp) -> OrderState:
        return OrderState(used=False, recipient="", units=0)

    def update(self, certified: CertifiedCheckpoint) -> Call:
        raise NotImplementedError

    def unregistered_key(self, rotation: Rotation) -> Call | None:
        raise NotImplementedError

    def rotate(self, rotation: Rotation) -> Call:
        raise NotImplementedError

    def report(self, first: CertifiedCheckpoint, second: CertifiedCheckpoint) -> Call:
        digests = first.checkpoint.digest() + second.checkpoint.digest()
        return Call(SENDER, REPORT + digests, "MainlandLightClient.reportEquivocation")

    def mint(
        self, order: MintOrder, issuer_signature: bytes, clearance: ClearanceData, signatures: tuple[bytes, ...]
    ) -> Call:
        raise NotImplementedError

    def prove(self, proof: Proof) -> Call:
        return Call(SENDER, leaf_hash(proof.raw), "MintController.prove")

    def restore(self, pending: Iterable[PreparedTransaction]) -> None:
        self.next_nonce = max([self._mined_nonces(), *(p.nonce + 1 for p in pending)])

    def prepare(self, call: Call) -> PreparedTransaction:
        self._alive()
        refused = self.reverts(call.data)
        if refused is not None:
            raise refused
        return self._sign(call, self.next_nonce, 100)

    def _sign(self, call: Call, nonce: int, fee: int) -> PreparedTransaction:
        raw = call.data + nonce.to_bytes(8, "big") + fee.to_bytes(8, "big")
        return PreparedTransaction(raw, keccak256(raw), SENDER, nonce, call, 1, fee, 1)

    def broadcast(self, prepared: PreparedTransaction) -> None:
        self._alive()
        self.broadcasts.append(prepared.tx_hash)
        if not self.knows(prepared.tx_hash):
            if prepared.nonce < self._mined_nonces():
                raise NonceConflict("NONCE_CONFLICT", "taken")
            self.mempool = [p for p in self.mempool if p.nonce != prepared.nonce]
            self.mempool.append(prepared)
        self.next_nonce = max(self.next_nonce, prepared.nonce + 1)
        if self.automine:
            self.mine()

    def replace(self, prepared: PreparedTransaction) -> PreparedTransaction:
        return self._sign(prepared.call, prepared.nonce, prepared.max_fee_per_gas * 2)

    def knows(self, tx_hash: bytes) -> bool:
        self._alive()
        return any(p.tx_hash == tx_hash for p in self.mempool) or self.receipt(tx_hash) is not None

    def receipt(self, tx_hash: bytes) -> Receipt | None:
        self._alive()
        for number, block in enumerate(self.blocks):
            for t in block.transactions:
                if t.tx_hash == tx_hash:
                    succeeded = t.call.data in block.effects
                    return Receipt(tx_hash, number, block.hash, succeeded, 1, 1, None, ())
        return None

    def failure(self, prepared: PreparedTransaction, receipt: Receipt) -> RevertError:
        return RevertError("AlreadyProven", {}, b"")

    def finality(self, number: int, block_hash: bytes) -> FinalityState:
        self._alive()
        if number >= len(self.blocks) or self.blocks[number].hash != block_hash:
            return FinalityState.REORGED
        return FinalityState.FINAL if number <= len(self.blocks) - 1 - self.depth else FinalityState.PENDING

    def mine(self, blocks: int = 1) -> None:
        """Blocks of whatever can be mined."""
        for _ in range(blocks):
            chosen: list[PreparedTransaction] = []
            nonce = self._mined_nonces()
            for t in sorted(self.mempool, key=lambda p: p.nonce):
                if t.nonce == nonce:
                    chosen.append(t)
                    nonce += 1
            self.mempool = [t for t in self.mempool if t not in chosen]
            proven = {leaf for block in self.blocks for leaf in block.effects}
            effects = [t.call.data for t in chosen if t.call.data not in proven]
            seed = b"%d/%d" % (self.fork, len(self.blocks))
            self.blocks.append(Block(keccak256(seed), chosen, effects))

    def reorganise(self, depth: int, *, keep_transactions: bool) -> None:
        """The last blocks leave the chain; their transactions go back to the mempool, or are lost."""
        gone = self.blocks[-depth:]
        del self.blocks[-depth:]
        self.fork += 1
        if keep_transactions:
            self.mempool += [t for block in gone for t in block.transactions]

    def steal_nonce(self) -> None:
        """Somebody else uses the key."""
        nonce = self._mined_nonces()
        other = self._sign(Call(SENDER, keccak256(b"foreign"), "foreign"), nonce, 1)
        self.mempool = [t for t in self.mempool if t.nonce != nonce]
        self.blocks.append(Block(keccak256(b"stolen%d" % len(self.blocks)), [other], []))

    def proven(self) -> list[bytes]:
        """Leaves that took effect, in order."""
        return [leaf for block in self.blocks for leaf in block.effects]

    def _mined_nonces(self) -> int:
        return sum(len(block.transactions) for block in self.blocks)

    def _alive(self) -> None:
        if self.down:
            raise EvmUnavailable("NODE_DOWN", "the node does not answer")


def with_roots(l2: SimulatedL2, certified: CertifiedCheckpoint) -> SimulatedL2:
    """The light client has this checkpoint."""
    l2.roots[certified.checkpoint.log_size] = certified.checkpoint.log_root
    return l2


def reverting(name: str, only: bytes) -> Callable[[bytes], RevertError | None]:
    """The contract refuses one claim."""
    return lambda leaf: RevertError(name, {}, b"") if leaf == only else None


__all__ = ["Block", "SimulatedL2", "replace", "reverting", "with_roots"]
