"""Everything delivery asks of the L2, behind one protocol, and the real thing over `hk_l2`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from eth_account.signers.local import LocalAccount

from hk_l2.bindings import Checkpoint as L2Checkpoint
from hk_l2.bindings import LightClientHead, LockInfo, MainlandLightClient, MintController, OrderState, SM2KeyRegistry
from hk_l2.chain import BlockStamp, Call, Receipt
from hk_l2.errors import RevertError
from hk_l2.evm import EvmClient
from hk_l2.finality import FinalityReader, FinalityState
from hk_l2.manifest import Deployment
from hk_l2.network import NetworkProfile
from hk_l2.txsender import PreparedTransaction, TxSender
from hk_l2.typed_data import ClearanceData, Domain, MintOrder
from lianqiao_base.errors import Fatal
from mainland_chain.light.claims import AssetClaim, Claim, TelemetryClaim
from mainland_chain.light.types import CertifiedCheckpoint, Rotation


@dataclass(frozen=True, slots=True)
class Proof:
    """A claim with what the contracts need to find it in the log."""

    claim: Claim
    raw: bytes
    index: int
    log_size: int
    path: tuple[bytes, ...]


class Layer2(Protocol):
    """The L2 as delivery needs it. Safe for several threads."""

    @property
    def domain(self) -> Domain:
        """EIP-712 domain of the MintController."""
        ...

    def latest(self) -> BlockStamp:
        """Newest block."""
        ...

    def head(self) -> LightClientHead:
        """The light client's last checkpoint."""
        ...

    def frozen(self, at: BlockStamp) -> bool:
        """Whether the light client has seen an equivocation."""
        ...

    def root_of(self, log_size: int) -> bytes | None:
        """Log root the light client knows for a size."""
        ...

    def claim_recorded(self, leaf: bytes, at: BlockStamp) -> bool:
        """Whether the controller has recorded a claim."""
        ...

    def lock_info(self, lock_ref: bytes) -> LockInfo | None:
        """A proven lock."""
        ...

    def order_state(self, order_id: bytes, at: BlockStamp) -> OrderState:
        """Whether an order was carried out."""
        ...

    def update(self, certified: CertifiedCheckpoint) -> Call:
        """Light client update."""
        ...

    def unregistered_key(self, rotation: Rotation) -> Call | None:
        """Registration of the first key of the incoming set that is not registered; None when all are."""
        ...

    def rotate(self, rotation: Rotation) -> Call:
        """Light client rotation; all keys must be registered."""
        ...

    def report(self, first: CertifiedCheckpoint, second: CertifiedCheckpoint) -> Call:
        """Freezes the light client on proof of equivocation."""
        ...

    def prove(self, proof: Proof) -> Call:
        """Records the claim, by its kind."""
        ...

    def mint(
        self, order: MintOrder, issuer_signature: bytes, clearance: ClearanceData, signatures: tuple[bytes, ...]
    ) -> Call:
        """Carries out an order."""
        ...

    def restore(self, pending: Iterable[PreparedTransaction]) -> None:
        """Continue the nonce lane behind these transactions."""
        ...

    def prepare(self, call: Call) -> PreparedTransaction:
        """Simulate, price and sign; nothing is sent."""
        ...

    def broadcast(self, prepared: PreparedTransaction) -> None:
        """Hand over a prepared transaction; repeatable."""
        ...

    def replace(self, prepared: PreparedTransaction) -> PreparedTransaction:
        """The same call and nonce for a higher fee."""
        ...

    def knows(self, tx_hash: bytes) -> bool:
        """Whether the node has the transaction."""
        ...

    def receipt(self, tx_hash: bytes) -> Receipt | None:
        """Receipt of a mined transaction."""
        ...

    def failure(self, prepared: PreparedTransaction, receipt: Receipt) -> RevertError:
        """Why a mined transaction failed."""
        ...

    def finality(self, number: int, block_hash: bytes) -> FinalityState:
        """Where a block stands under the network's rule."""
        ...


_P = ParamSpec("_P")
_R = TypeVar("_R")


def _locked(
    method: Callable[Concatenate[EvmLayer2, _P], _R],
) -> Callable[Concatenate[EvmLayer2, _P], _R]:
    @wraps(method)
    def wrapped(self: EvmLayer2, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        with self.lock:
            return method(self, *args, **kwargs)

    return wrapped


class EvmLayer2:
    """The contracts of one deployment, through one node, sending with one key that nobody else uses.

    `lock` guards every use of the client: an embedded EVM serves one thread at a time. Others that share the client pass
    their own lock. Raises `Fatal("DEPLOYMENT_OF_ANOTHER_LEDGER")` when the light client follows another ledger.
    """

    def __init__(
        self,
        client: EvmClient,
        deployment: Deployment,
        profile: NetworkProfile,
        account: LocalAccount,
        ledger_chain_id: bytes,
        lock: Any = None,
    ) -> None:
        self.lock = lock if lock is not None else threading.RLock()
        with self.lock:
            self.client = client
            self._light = MainlandLightClient(client, deployment.light_client)
            self._keys = SM2KeyRegistry(client, deployment.key_registry)
            self._controller = MintController(client, deployment.mint_controller)
            self._sender = TxSender(client, account, deployment.chain_id, profile.gas)
            self._finality = FinalityReader(client, profile.finality)
            self._domain = self._controller.domain()
            followed = self._light.chain_id()
            if followed != ledger_chain_id:
                raise Fatal(
                    "DEPLOYMENT_OF_ANOTHER_LEDGER",
                    "the light client follows another ledger than this node trusts",
                    subject=followed.hex(),
                    hint="check the genesis document and the deployment manifest",
                )

    @property
    def domain(self) -> Domain:
        """EIP-712 domain of the MintController."""
        return self._domain

    @_locked
    def latest(self) -> BlockStamp:
        """Newest block."""
        return self.client.block_stamp()

    @_locked
    def head(self) -> LightClientHead:
        """The light client's last checkpoint."""
        return self._light.head()

    @_locked
    def frozen(self, at: BlockStamp) -> bool:
        """Whether the light client has seen an equivocation."""
        return self._light.frozen(at)

    @_locked
    def root_of(self, log_size: int) -> bytes | None:
        """Log root the light client knows for a size."""
        return self._light.root_of(log_size)

    @_locked
    def claim_recorded(self, leaf: bytes, at: BlockStamp) -> bool:
        """Whether the controller has recorded a claim."""
        return self._controller.claim_recorded(leaf, at)

    @_locked
    def lock_info(self, lock_ref: bytes) -> LockInfo | None:
        """A proven lock."""
        return self._controller.lock_info(lock_ref)

    @_locked
    def order_state(self, order_id: bytes, at: BlockStamp) -> OrderState:
        """Whether an order was carried out."""
        return self._controller.order_state(order_id, at)

    def update(self, certified: CertifiedCheckpoint) -> Call:
        """Light client update."""
        return self._light.update(*_certificate(certified))

    @_locked
    def unregistered_key(self, rotation: Rotation) -> Call | None:
        """Registration of the first key of the incoming set that is not registered; None when all are."""
        for member in rotation.next_set.members:
            point = _point(member.public_key)
            if self._keys.table_of(*point) is None:
                return self._keys.register(*point)
        return None

    @_locked
    def rotate(self, rotation: Rotation) -> Call:
        """Light client rotation; all keys must be registered."""
        members = rotation.next_set.members
        tables = [self._keys.table_of(*_point(m.public_key)) for m in members]
        known = [table for table in tables if table is not None]
        return self._light.update_and_rotate(*_certificate(rotation.certified), [m.org_id for m in members], known)

    def report(self, first: CertifiedCheckpoint, second: CertifiedCheckpoint) -> Call:
        """Freezes the light client on proof of equivocation."""
        return self._light.report_equivocation(*_certificate(first), *_certificate(second))

    def prove(self, proof: Proof) -> Call:
        """Records the claim, by its kind."""
        prove = self._controller.prove_lock
        if isinstance(proof.claim, AssetClaim):
            prove = self._controller.prove_asset
        elif isinstance(proof.claim, TelemetryClaim):
            prove = self._controller.prove_telemetry
        return prove(proof.raw, proof.index, proof.log_size, proof.path)

    def mint(
        self, order: MintOrder, issuer_signature: bytes, clearance: ClearanceData, signatures: tuple[bytes, ...]
    ) -> Call:
        """Carries out an order."""
        return self._controller.mint(order, issuer_signature, clearance, signatures)

    @_locked
    def restore(self, pending: Iterable[PreparedTransaction]) -> None:
        """Continue the nonce lane behind these transactions."""
        self._sender.restore(pending)

    @_locked
    def prepare(self, call: Call) -> PreparedTransaction:
        """Simulate, price and sign; nothing is sent."""
        return self._sender.prepare(call)

    @_locked
    def broadcast(self, prepared: PreparedTransaction) -> None:
        """Hand over a prepared transaction; repeatable."""
        self._sender.broadcast(prepared)

    @_locked
    def replace(self, prepared: PreparedTransaction) -> PreparedTransaction:
        """The same call and nonce for a higher fee."""
        return self._sender.replace(prepared)

    @_locked
    def knows(self, tx_hash: bytes) -> bool:
        """Whether the node has the transaction."""
        return self.client.knows(tx_hash)

    @_locked
    def receipt(self, tx_hash: bytes) -> Receipt | None:
        """Receipt of a mined transaction."""
        return self._sender.receipt(tx_hash)

    @_locked
    def failure(self, prepared: PreparedTransaction, receipt: Receipt) -> RevertError:
        """Why a mined transaction failed."""
        return self._sender.failure(prepared, receipt)

    @_locked
    def finality(self, number: int, block_hash: bytes) -> FinalityState:
        """Where a block stands under the network's rule."""
        return self._finality.check(number, block_hash).state


def _certificate(certified: CertifiedCheckpoint) -> tuple[L2Checkpoint, int, bytes]:
    c = certified.checkpoint
    checkpoint = L2Checkpoint(
        c.chain_id, c.epoch, c.height, c.time_ms, c.log_size, c.log_root, c.header_hash, c.next_validators_hash
    )
    return checkpoint, certified.certificate.bitmap, b"".join(certified.certificate.signatures)


def _point(public_key: bytes) -> tuple[int, int]:
    return int.from_bytes(public_key[:32], "big"), int.from_bytes(public_key[32:], "big")
