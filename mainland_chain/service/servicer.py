"""`LedgerService`: thin. Each method says who calls, asks the engine or the store, and answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
from lianqiao.ledger.v1 import ledger_pb2 as pb
from lianqiao.ledger.v1 import transaction_pb2 as tx_pb
from lianqiao.ledger.v1.ledger_pb2_grpc import LedgerServiceServicer

from lianqiao_base import grpc_status
from lianqiao_base.errors import NotFound, Overloaded, PreconditionFailed, Rejected
from mainland_chain.application import Application
from mainland_chain.engines.protocol import LedgerEngine, Outcome, Stage
from mainland_chain.service import messages, proofs
from mainland_chain.service.access import Access
from mainland_chain.state.block import LedgerStore, StoredRecord, StoredTransaction, TransactionResult
from mainland_chain.state.entities import Member
from mainland_chain.wire import serialize, transaction_hash

MAX_STREAM_TRANSACTIONS = 10_000
STREAM_WINDOW = 1_024
"""Transactions of one stream in flight; beyond it the stream is not read, so the client is slowed down."""

Context = grpc.aio.ServicerContext[Any, Any]


class LedgerServicer(LedgerServiceServicer):
    """Reads go to threads, because the database blocks; transactions go to the engine."""

    def __init__(self, application: Application, engine: LedgerEngine, store: LedgerStore) -> None:
        self._application = application
        self._engine = engine
        self._store = store
        self._access = Access(application)

    # --- transactions ------------------------------------------------------------------------------------------------

    @grpc_status.unary
    async def Submit(self, request: pb.SubmitRequest, context: Context) -> pb.SubmitResponse:  # noqa: N802
        caller = self._access.caller(context)
        wait = messages.stage(request.wait_for)
        outcome = await self._engine.submit(self._raw(caller, request.transaction), wait)
        if not outcome.result.ok:
            raise refused_in_block(outcome)
        return pb.SubmitResponse(outcome=messages.outcome_message(outcome))

    @grpc_status.unary
    async def SubmitStream(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.SubmitStreamRequest], context: Context
    ) -> pb.SubmitStreamResponse:
        caller = self._access.caller(context)
        window = asyncio.Semaphore(STREAM_WINDOW)
        tasks: list[asyncio.Task[Outcome]] = []
        try:
            async for request in request_iterator:
                if len(tasks) == MAX_STREAM_TRANSACTIONS:
                    raise Rejected(
                        "STREAM_TOO_LONG",
                        f"at most {MAX_STREAM_TRANSACTIONS} transactions per stream",
                        hint="send the rest in another stream; those already sent keep their outcomes",
                    )
                await window.acquire()
                task = await self._begin(caller, request.transaction)
                task.add_done_callback(lambda _: window.release())
                tasks.append(task)
            outcomes = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        return pb.SubmitStreamResponse(outcomes=[messages.outcome_message(o) for o in outcomes])

    async def _begin(self, caller: Member, transaction: tx_pb.SignedTransaction) -> asyncio.Task[Outcome]:
        """Hand one transaction to the engine, after those before it, waiting for room instead of failing."""
        while True:
            task = asyncio.create_task(self._submit_or_refusal(caller, transaction))
            await asyncio.sleep(0)  # lets the task take its place in the engine's queue
            if not (task.done() and isinstance(task.exception(), Overloaded)):
                return task
            await self._engine.wait_for_room()

    async def _submit_or_refusal(self, caller: Member, transaction: tx_pb.SignedTransaction) -> Outcome:
        """A refusal is this transaction's outcome and does not end the stream."""
        try:
            return await self._engine.submit(self._raw(caller, transaction), Stage.COMMITTED)
        except Rejected as refusal:
            tx_hash = transaction_hash(transaction.transaction)
            return Outcome(TransactionResult(tx_hash, refusal.code, str(refusal)))

    def _raw(self, caller: Member, transaction: tx_pb.SignedTransaction) -> bytes:
        self._access.require_own(caller, transaction.transaction)
        return serialize(transaction)

    @grpc_status.unary
    async def GetTransaction(  # noqa: N802
        self, request: pb.GetTransactionRequest, context: Context
    ) -> pb.GetTransactionResponse:
        caller = self._access.caller(context)
        tx_hash = _hash("transaction_hash", request.transaction_hash)
        # The queue first: a transaction leaves it only after its block is stored, so between the two looks it cannot be in neither.
        pending = self._engine.is_pending(tx_hash)
        found = await asyncio.to_thread(self._store.transaction, tx_hash)
        if found is None:
            if not pending:
                raise NotFound("TRANSACTION_NOT_FOUND", "not in a block and not in the queue", subject=tx_hash.hex())
            waiting = Outcome(TransactionResult(tx_hash, messages.PENDING))
            return pb.GetTransactionResponse(outcome=messages.outcome_message(waiting))
        outcome = Outcome(found.result, found.height, found.index, found.height <= self._engine.certified_height)
        return pb.GetTransactionResponse(
            outcome=messages.outcome_message(outcome), transaction=self._readable(caller, found)
        )

    def _readable(self, caller: Member, found: StoredTransaction) -> tx_pb.SignedTransaction | None:
        signed = tx_pb.SignedTransaction.FromString(found.signed)
        return signed if self._access.may_read_transaction(caller, signed.transaction) else None

    # --- records and proofs ------------------------------------------------------------------------------------------

    @grpc_status.unary
    async def GetRecord(self, request: pb.GetRecordRequest, context: Context) -> pb.GetRecordResponse:  # noqa: N802
        caller = self._access.caller(context)
        return await asyncio.to_thread(self._record, caller, _hash("record_id", request.record_id))

    def _record(self, caller: Member, record_id: bytes) -> pb.GetRecordResponse:
        record: StoredRecord | None = self._store.record(record_id)
        if record is None:
            raise NotFound("RECORD_NOT_FOUND", "there is no such record", subject=record_id.hex())
        return pb.GetRecordResponse(
            record_type=record.record_type,
            record_id=record.record_id,
            record_root=record.root,
            fields=[messages.field_message(v) for v in self._application.view_record(record, caller)],
            transaction_hash=record.tx_hash,
            height=record.height,
        )

    @grpc_status.unary
    async def GetInclusionProof(  # noqa: N802
        self, request: pb.GetInclusionProofRequest, context: Context
    ) -> pb.GetInclusionProofResponse:
        self._access.caller(context)
        match request.WhichOneof("subject"):
            case "log_index":
                proof = await asyncio.to_thread(proofs.claim_proof, self._store, request.log_index, request.log_size)
            case "transaction_hash":
                tx_hash = _hash("transaction_hash", request.transaction_hash)
                proof = await asyncio.to_thread(proofs.result_proof, self._store, tx_hash)
            case _:
                raise Rejected("NO_SUBJECT", "name a claim or a transaction")
        return pb.GetInclusionProofResponse(
            index=proof.index,
            size=proof.size,
            leaf_data=proof.leaf_data,
            path=proof.path,
            root=proof.root,
            header=proof.header,
        )

    @grpc_status.unary
    async def GetConsistencyProof(  # noqa: N802
        self, request: pb.GetConsistencyProofRequest, context: Context
    ) -> pb.GetConsistencyProofResponse:
        self._access.caller(context)
        proof = await asyncio.to_thread(proofs.log_consistency, self._store, request.first, request.second)
        return pb.GetConsistencyProofResponse(
            first=proof.first,
            second=proof.second,
            first_root=proof.first_root,
            second_root=proof.second_root,
            path=proof.path,
        )

    # --- checkpoints and status --------------------------------------------------------------------------------------

    @grpc_status.unary
    async def GetCheckpoint(  # noqa: N802
        self, request: pb.GetCheckpointRequest, context: Context
    ) -> pb.GetCheckpointResponse:
        self._access.caller(context)
        certified = await asyncio.to_thread(self._store.certified, _height(request.height) or None)
        if certified is None:
            subject = f"height {request.height}" if request.height else "newest"
            raise NotFound("CHECKPOINT_NOT_FOUND", "no such certified checkpoint", subject=subject)
        return pb.GetCheckpointResponse(
            checkpoint=messages.checkpoint_message(certified.checkpoint),
            certificate=messages.certificate_message(certified.certificate),
        )

    @grpc_status.streaming
    async def StreamCheckpoints(  # noqa: N802
        self, request: pb.StreamCheckpointsRequest, context: Context
    ) -> AsyncIterator[pb.StreamCheckpointsResponse]:
        self._access.caller(context)
        first = _height(request.from_height) or self._engine.certified_height + 1
        async for certified in self._engine.checkpoints(first):
            yield pb.StreamCheckpointsResponse(
                checkpoint=messages.checkpoint_message(certified.checkpoint),
                certificate=messages.certificate_message(certified.certificate),
            )

    @grpc_status.unary
    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:  # noqa: N802
        self._access.caller(context)
        head = self._engine.head()
        validators = self._application.validators
        return pb.GetStatusResponse(
            chain_id=self._application.chain_id,
            genesis=self._application.genesis.canonical_bytes(),
            epoch=validators.epoch,
            validators=[pb.Validator(org_id=v.org_id, public_key=v.public_key) for v in validators.members],
            height=head.header.height if head else 0,
            certified_height=self._engine.certified_height,
            log_size=head.header.export_log_size if head else 0,
            engine=self._engine.name,
            pending=self._engine.pending,
        )


def refused_in_block(outcome: Outcome) -> PreconditionFailed:
    """A refusal that happened when the block was executed, as the error it is."""
    result = outcome.result
    return PreconditionFailed(
        result.code,
        result.message.removeprefix(f"{result.code}: "),
        subject=result.tx_hash.hex(),
        data={"height": str(outcome.height)},
    )


def _hash(name: str, value: bytes) -> bytes:
    if len(value) != 32:
        raise Rejected("BAD_LENGTH", f"{name} must have 32 bytes, has {len(value)}", subject=name)
    return value


def _height(value: int) -> int:
    if value >= 2**63:
        raise Rejected("OUT_OF_RANGE", "no ledger is that high", subject="height")
    return value
