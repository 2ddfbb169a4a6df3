"""A member's client of the ledger: typed calls over mutual TLS that retry what may be retried and raise typed errors.

Every call is safe to repeat: a transaction is identified by its hash, and the ledger tells its first outcome again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

import grpc
import grpc.aio
from lianqiao.ledger.v1 import ledger_pb2 as pb
from lianqiao.ledger.v1 import transaction_pb2 as tx_pb
from lianqiao.ledger.v1.ledger_pb2_grpc import LedgerServiceStub

from lianqiao_base.errors import LianqiaoError, Overloaded, Rejected, Retryable, Unauthenticated
from lianqiao_base.grpc_status import from_rpc_error
from lianqiao_base.tls import TlsFiles, client_credentials
from mainland_chain.engines.protocol import Outcome, Stage
from mainland_chain.light.genesis import Genesis
from mainland_chain.light.types import CertifiedCheckpoint, Validator, ValidatorSet
from mainland_chain.records.visibility import FieldView
from mainland_chain.service import messages
from mainland_chain.service.types import ConsistencyProof, InclusionProof

if TYPE_CHECKING:
    from lianqiao.ledger.v1.ledger_pb2_grpc import LedgerServiceAsyncStub  # exists in the type stubs only

T = TypeVar("T")

_STREAM_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long and how patiently a call is repeated, in seconds."""

    deadline_s: float = 30.0
    """Of one call with all its repetitions."""
    first_delay_s: float = 0.05
    longest_delay_s: float = 2.0


@dataclass(frozen=True, slots=True)
class TransactionView:
    """Where a transaction stands."""

    outcome: Outcome
    """Code "PENDING" while it is in the queue."""
    signed: bytes | None
    """Serialized SignedTransaction, if the caller may read it."""


@dataclass(frozen=True, slots=True)
class RecordView:
    """A record as the caller may see it."""

    record_type: str
    record_id: bytes
    record_root: bytes
    fields: tuple[FieldView, ...]
    tx_hash: bytes
    height: int


@dataclass(frozen=True, slots=True)
class LedgerStatus:
    """Status of the ledger."""

    genesis: Genesis
    validators: ValidatorSet
    height: int
    certified_height: int
    log_size: int
    engine: str
    pending: int

    @property
    def chain_id(self) -> bytes:
        return self.genesis.chain_id


class LedgerClient:
    """One connection. Use as an async context manager, or `close` it."""

    def __init__(self, target: str, tls: TlsFiles, *, retry: RetryPolicy | None = None) -> None:
        """`target` is host:port."""
        self._retry = retry or RetryPolicy()
        self._channel = grpc.aio.secure_channel(
            target,
            client_credentials(tls),
            options=(
                ("grpc.max_receive_message_length", 16 * 1024 * 1024),
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.min_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 2_000),
            ),
        )
        self._stub: LedgerServiceAsyncStub = LedgerServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._channel.close()

    # --- transactions ------------------------------------------------------------------------------------------------

    async def submit(self, raw: bytes, wait: Stage = Stage.COMMITTED) -> Outcome:
        """Submit one serialized SignedTransaction. Raises the ledger's refusal as a typed error with its code."""
        request = pb.SubmitRequest(transaction=_signed(raw), wait_for=messages.wait_for(wait))
        response = await self._call("submit", lambda t: self._stub.Submit(request, timeout=t))
        return messages.outcome_from(response.outcome)

    async def submit_many(self, raws: Sequence[bytes]) -> tuple[Outcome, ...]:
        """Submit in order and wait until all are committed or refused; one outcome each, refusals included."""
        outcomes: list[Outcome] = []
        for start in range(0, len(raws), _STREAM_CHUNK):
            requests = [pb.SubmitStreamRequest(transaction=_signed(r)) for r in raws[start : start + _STREAM_CHUNK]]
            outcomes += await self._submit_chunk(requests)
        return tuple(outcomes)

    async def _submit_chunk(self, requests: list[pb.SubmitStreamRequest]) -> list[Outcome]:
        response = await self._call("submit_many", lambda t: self._stub.SubmitStream(iter(requests), timeout=t))
        if len(response.outcomes) != len(requests):
            raise Retryable("SHORT_ANSWER", f"{len(response.outcomes)} outcomes for {len(requests)} transactions")
        return [messages.outcome_from(o) for o in response.outcomes]

    async def transaction(self, tx_hash: bytes) -> TransactionView:
        """Raises `NotFound("TRANSACTION_NOT_FOUND")`."""
        request = pb.GetTransactionRequest(transaction_hash=tx_hash)
        response = await self._call("transaction", lambda t: self._stub.GetTransaction(request, timeout=t))
        signed = (
            response.transaction.SerializeToString(deterministic=True) if response.HasField("transaction") else None
        )
        return TransactionView(messages.outcome_from(response.outcome), signed)

    # --- records and proofs ------------------------------------------------------------------------------------------

    async def get_record(self, record_id: bytes) -> RecordView:
        """Raises `NotFound("RECORD_NOT_FOUND")`."""
        request = pb.GetRecordRequest(record_id=record_id)
        response = await self._call("get_record", lambda t: self._stub.GetRecord(request, timeout=t))
        return RecordView(
            record_type=response.record_type,
            record_id=response.record_id,
            record_root=response.record_root,
            fields=tuple(messages.field_from(f) for f in response.fields),
            tx_hash=response.transaction_hash,
            height=response.height,
        )

    async def claim_proof(self, log_index: int, log_size: int = 0) -> InclusionProof:
        """Proof that a claim is in the export log of `log_size` claims; 0 means the newest certified one."""
        return await self._inclusion(pb.GetInclusionProofRequest(log_index=log_index, log_size=log_size))

    async def result_proof(self, tx_hash: bytes) -> InclusionProof:
        """Proof of a transaction's result in its certified block."""
        return await self._inclusion(pb.GetInclusionProofRequest(transaction_hash=tx_hash))

    async def _inclusion(self, request: pb.GetInclusionProofRequest) -> InclusionProof:
        response = await self._call("inclusion_proof", lambda t: self._stub.GetInclusionProof(request, timeout=t))
        return InclusionProof(
            index=response.index,
            size=response.size,
            leaf_data=response.leaf_data,
            path=tuple(response.path),
            root=response.root,
            header=response.header,
        )

    async def consistency_proof(self, first: int, second: int = 0) -> ConsistencyProof:
        """Proof that the log of `first` claims is a prefix of that of `second`; 0 means the newest certified one."""
        request = pb.GetConsistencyProofRequest(first=first, second=second)
        response = await self._call("consistency_proof", lambda t: self._stub.GetConsistencyProof(request, timeout=t))
        return ConsistencyProof(
            first=response.first,
            second=response.second,
            first_root=response.first_root,
            second_root=response.second_root,
            path=tuple(response.path),
        )

    # --- checkpoints and status --------------------------------------------------------------------------------------

    async def checkpoint(self, height: int = 0) -> CertifiedCheckpoint:
        """The certified checkpoint at `height`; 0 means the newest. Raises `NotFound("CHECKPOINT_NOT_FOUND")`.

        It is not verified here: what trusts it must (`mainland_chain.light`).
        """
        request = pb.GetCheckpointRequest(height=height)
        response = await self._call("checkpoint", lambda t: self._stub.GetCheckpoint(request, timeout=t))
        return messages.certified_from(response.checkpoint, response.certificate)

    async def checkpoints(self, from_height: int = 0) -> AsyncIterator[CertifiedCheckpoint]:
        """Certified checkpoints from `from_height` on, for ever, in order, without gaps or repetitions, across lost
        connections.

        0 means: from the next new one. Raises what is not `Retryable`, and `Retryable` only when the ledger stays away for the
        whole deadline.
        """
        next_height = from_height
        if next_height == 0:
            next_height = (await self.status()).certified_height + 1
        backoff = _Backoff(self._retry)
        while True:
            request = pb.StreamCheckpointsRequest(from_height=next_height)
            try:
                async for response in self._stub.StreamCheckpoints(request):
                    certified = messages.certified_from(response.checkpoint, response.certificate)
                    if certified.checkpoint.height != next_height:
                        raise Rejected("CHECKPOINT_GAP", f"got {certified.checkpoint.height} instead of {next_height}")
                    yield certified
                    next_height += 1
                    backoff = _Backoff(self._retry)
            except grpc.RpcError as error:
                await backoff.pause(_typed(error, "checkpoints"))

    async def status(self) -> LedgerStatus:
        """Raises `Rejected("BAD_GENESIS")` when the ledger shows a genesis that is not its chain id's."""
        response = await self._call("status", lambda t: self._stub.GetStatus(pb.GetStatusRequest(), timeout=t))
        genesis = Genesis.decode(response.genesis)
        if genesis.chain_id != response.chain_id:
            raise Rejected("BAD_GENESIS", "the genesis document does not hash to the chain id")
        members = tuple(Validator(v.org_id, v.public_key) for v in response.validators)
        return LedgerStatus(
            genesis=genesis,
            validators=ValidatorSet(response.chain_id, response.epoch, members),
            height=response.height,
            certified_height=response.certified_height,
            log_size=response.log_size,
            engine=response.engine,
            pending=response.pending,
        )

    async def _call(self, subject: str, call: Callable[[float], Awaitable[T]]) -> T:
        backoff = _Backoff(self._retry)
        while True:
            try:
                return await call(backoff.remaining())
            except grpc.RpcError as error:
                await backoff.pause(_typed(error, subject))


class _Backoff:
    """Exponential, with jitter, until the deadline."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._delay = policy.first_delay_s
        self._end = asyncio.get_running_loop().time() + policy.deadline_s

    def remaining(self) -> float:
        return max(self._end - asyncio.get_running_loop().time(), 0.001)

    async def pause(self, error: Exception) -> None:
        """Wait before the next try, or raise `error` when it is not for retrying or the time is over."""
        delay = self._delay * random.uniform(0.5, 1.0)  # noqa: S311 - spreads clients, guards nothing
        if not isinstance(error, Retryable) or delay >= self.remaining():
            raise error
        await asyncio.sleep(delay)
        self._delay = min(self._delay * 2, self._policy.longest_delay_s)


def _typed(error: grpc.RpcError, subject: str) -> LianqiaoError:
    typed = from_rpc_error(error, subject)
    if isinstance(typed, Retryable) and "CERTIFICATE_VERIFY_FAILED" in typed.message:
        # gRPC reports it as "unavailable", but waiting does not mend a certificate.
        return Unauthenticated(
            "TLS_CERTIFICATE",
            "a certificate is expired or of another authority",
            subject=subject,
            hint="check both ends",
        )
    if isinstance(typed, Overloaded) and typed.code == grpc.StatusCode.RESOURCE_EXHAUSTED.name:
        # Without a code of ours it is gRPC's own limit: the message is too large, and stays so.
        return Rejected("MESSAGE_TOO_LARGE", typed.message, subject=subject, hint="send smaller batches")
    return typed


def _signed(raw: bytes) -> tx_pb.SignedTransaction:
    return tx_pb.SignedTransaction.FromString(raw)
