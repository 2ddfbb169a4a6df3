from __future__ import annotations

import asyncio

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from ledger_kit import BROKER, NOTARY, ORIGINATOR, REGULATOR, Device, Running
from lianqiao.ledger.v1 import ledger_pb2 as pb
from lianqiao.ledger.v1 import transaction_pb2 as tx_pb
from lianqiao.ledger.v1.ledger_pb2_grpc import LedgerServiceStub

from lianqiao_base.errors import NotFound, PermissionDenied, PreconditionFailed, Rejected
from lianqiao_base.tls import client_credentials
from mainland_chain.engines.protocol import Stage
from mainland_chain.light.certificate import verify_certificate
from mainland_chain.log.hashing import SM3
from mainland_chain.log.proof import verify_inclusion
from mainland_chain.service.server import MAX_RECEIVE_BYTES, SERVICE
from mainland_chain.service.servicer import MAX_STREAM_TRANSACTIONS
from mainland_chain.state.block import decode_header
from mainland_chain.state.entities import SigningMode

UNKNOWN = b"\x07" * 32


async def test_submit_waits_for_the_stage_asked_for(ledger: Running) -> None:
    asset = ledger.kit.asset()
    admitted = await ledger.client.submit(asset.raw, Stage.ADMITTED)
    assert admitted.result.tx_hash == asset.tx_hash
    assert (admitted.result.code, admitted.height, admitted.certified) == ("OK", 0, False)
    committed = await ledger.client.submit(asset.raw, Stage.COMMITTED)
    assert committed.result.ok and committed.height == 1
    certified = await ledger.client.submit(asset.raw, Stage.CERTIFIED)
    assert certified.certified
    assert certified.result == committed.result
    assert (await ledger.client.checkpoint(1)).checkpoint.height == 1


async def test_submitting_again_tells_the_first_outcome(ledger: Running) -> None:
    device = await ledger.with_device()
    batch = ledger.batch(device)
    first, joined = await asyncio.gather(ledger.client.submit(batch.raw), ledger.client.submit(batch.raw))
    assert first.result == joined.result and first.height == joined.height
    again = await ledger.client.submit(batch.raw)
    assert (again.result, again.height, again.index) == (first.result, first.height, first.index)
    assert len(ledger.node.store.result_leaves(first.height)) == 1


async def test_a_refusal_is_a_typed_error(ledger: Running) -> None:
    with pytest.raises(PreconditionFailed) as caught:
        await ledger.client.submit(ledger.kit.device(Device("dev-9", SigningMode.BATCH)).raw)
    assert caught.value.code == "UNKNOWN_ASSET"
    assert (await ledger.client.status()).height == 0


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "MALFORMED"),
        (b"\x0a\x03\xff\xff\xff", "MALFORMED"),
        (tx_pb.SignedTransaction(transaction=b"", signature=bytes(64)).SerializeToString(), "MALFORMED"),
    ],
)
async def test_what_is_no_transaction_is_refused(ledger: Running, raw: bytes, code: str) -> None:
    with pytest.raises(Rejected) as caught:
        await ledger.client.submit(raw)
    assert caught.value.code == code


async def test_a_changed_byte_is_a_bad_signature(ledger: Running) -> None:
    signed = tx_pb.SignedTransaction.FromString(ledger.kit.asset().raw)
    signed.signature = signed.signature[:-1] + bytes([signed.signature[-1] ^ 1])
    with pytest.raises(PreconditionFailed) as caught:
        await ledger.client.submit(signed.SerializeToString(deterministic=True))
    assert caught.value.code == "BAD_SIGNATURE"


async def test_only_the_signers_organisation_may_submit(ledger: Running) -> None:
    asset = ledger.kit.asset()
    with pytest.raises(PermissionDenied) as caught:
        await ledger.clients[BROKER].submit(asset.raw)
    assert caught.value.code == "NOT_YOUR_TRANSACTION"
    (outcome,) = await ledger.clients[BROKER].submit_many([asset.raw])
    assert outcome.result.code == "NOT_YOUR_TRANSACTION"
    assert (await ledger.client.status()).height == 0
    assert (await ledger.client.submit(asset.raw)).result.ok


async def test_a_stream_keeps_order_and_tells_every_outcome(ledger: Running) -> None:
    device = Device("dev-1", SigningMode.BATCH)
    good = [ledger.batch(device).raw for _ in range(40)]
    unknown = ledger.batch(Device("dev-x", SigningMode.BATCH)).raw
    # Registration and use in one stream: the device is known by the time its readings are checked.
    raws = [ledger.kit.asset().raw, ledger.kit.device(device).raw, *good[:20], unknown, *good[20:], good[0]]
    outcomes = await ledger.client.submit_many(raws)
    assert len(outcomes) == len(raws)
    codes = [o.result.code for o in outcomes]
    assert codes == ["OK"] * 22 + ["UNKNOWN_DEVICE"] + ["OK"] * 21
    places = [(o.height, o.index) for o in outcomes if o.result.ok][:-1]
    assert places == sorted(set(places))
    assert outcomes[-1].result == outcomes[2].result
    for outcome, raw in zip(outcomes, raws, strict=True):
        if outcome.result.ok:
            assert (await ledger.client.transaction(outcome.result.tx_hash)).signed == raw


async def test_a_stream_is_bounded(ledger: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_STREAM_TRANSACTIONS <= 10_000
    monkeypatch.setattr("mainland_chain.service.servicer.MAX_STREAM_TRANSACTIONS", 3)
    device = await ledger.with_device()
    raws = [ledger.batch(device).raw for _ in range(4)]
    with pytest.raises(Rejected) as caught:
        await ledger.client.submit_many(raws)
    assert caught.value.code == "STREAM_TOO_LONG"
    assert all(o.result.ok for o in await ledger.client.submit_many(raws[:3]))


async def test_a_small_window_only_slows_a_stream(ledger: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainland_chain.service.servicer.STREAM_WINDOW", 2)
    device = await ledger.with_device()
    outcomes = await ledger.client.submit_many([ledger.batch(device).raw for _ in range(12)])
    assert [o.result.code for o in outcomes] == ["OK"] * 12
    assert len({o.height for o in outcomes}) >= 6


async def test_medium_fields_are_masked_for_those_without_the_role(ledger: Running) -> None:
    made = await ledger.client.submit(ledger.kit.asset().raw)
    seen = {}
    for member in (ORIGINATOR, BROKER, NOTARY, REGULATOR):
        view = await ledger.clients[member].get_record(made.result.record_id)
        assert view.record_root == made.result.record_root
        seen[member] = {f.name: f for f in view.fields}
    for member in (ORIGINATOR, REGULATOR):
        assert seen[member]["plant_name"].value == "Qinghai Plant No. 1"
        assert seen[member]["plant_name"].salt
    for member in (BROKER, NOTARY):
        field = seen[member]["plant_name"]
        assert field.masked and "Plant" not in field.value
        assert (field.salt, field.encoded_value) == (b"", b"")
        assert seen[member]["unit_count"].value == "1000000"


async def test_the_signed_transaction_is_for_its_organisation_and_regulators(ledger: Running) -> None:
    asset = ledger.kit.asset()
    await ledger.client.submit(asset.raw)
    readers = {m: (await c.transaction(asset.tx_hash)).signed for m, c in ledger.clients.items()}
    assert readers == {ORIGINATOR: asset.raw, BROKER: None, NOTARY: None, REGULATOR: asset.raw}


async def test_a_pending_transaction_is_told_as_pending(ledger: Running) -> None:
    asset = ledger.kit.asset()
    await ledger.client.submit(asset.raw, Stage.ADMITTED)
    codes = set()
    for _ in range(200):
        view = await ledger.client.transaction(asset.tx_hash)
        codes.add(view.outcome.result.code)
        if view.outcome.certified:
            break
    assert codes <= {"PENDING", "OK"} and "OK" in codes


async def test_unknown_things_are_not_found(ledger: Running) -> None:
    client = ledger.client
    calls = {
        "TRANSACTION_NOT_FOUND": client.transaction(UNKNOWN),
        "RECORD_NOT_FOUND": client.get_record(UNKNOWN),
        "CHECKPOINT_NOT_FOUND": client.checkpoint(99),
    }
    for code, call in calls.items():
        with pytest.raises(NotFound) as caught:
            await call
        assert caught.value.code == code
    with pytest.raises(NotFound):
        await client.checkpoint()
    for call in (client.claim_proof(0), client.consistency_proof(1)):
        with pytest.raises(PreconditionFailed) as refused:
            await call
        assert refused.value.code == "NOTHING_CERTIFIED"
    await ledger.client.submit(ledger.kit.asset().raw, Stage.CERTIFIED)
    with pytest.raises(NotFound) as missing:
        await client.result_proof(UNKNOWN)
    assert missing.value.code == "TRANSACTION_NOT_FOUND"
    with pytest.raises(NotFound):
        await client.claim_proof(0)


async def test_ill_formed_questions_are_rejected(ledger: Running) -> None:
    channel = _channel(ledger)
    stub = LedgerServiceStub(channel)
    questions = [
        stub.GetTransaction(pb.GetTransactionRequest(transaction_hash=b"short")),
        stub.GetRecord(pb.GetRecordRequest()),
        stub.GetInclusionProof(pb.GetInclusionProofRequest()),
        stub.GetInclusionProof(pb.GetInclusionProofRequest(transaction_hash=b"short")),
        stub.GetCheckpoint(pb.GetCheckpointRequest(height=2**64 - 1)),
        stub.Submit(pb.SubmitRequest(wait_for=9)),  # type: ignore[arg-type]
    ]
    for question in questions:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await question
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "lianqiao-code" in dict(caught.value.trailing_metadata())
    await channel.close()


async def test_a_result_proof_leads_to_the_certified_header(ledger: Running) -> None:
    device = await ledger.with_device()
    outcomes = await ledger.client.submit_many([ledger.batch(device).raw for _ in range(9)])
    await ledger.node.engine.wait_certified(outcomes[-1].height - 1)
    for outcome in outcomes:
        proof = await ledger.client.result_proof(outcome.result.tx_hash)
        assert proof.leaf_data[:32] == outcome.result.tx_hash
        header = decode_header(proof.header)
        assert header.results_root == proof.root
        verify_inclusion(SM3, SM3.leaf(proof.leaf_data), proof.index, proof.size, proof.path, proof.root)
        certified = await ledger.client.checkpoint(outcome.height)
        assert certified.checkpoint.header_hash == header.hash()
        verify_certificate(certified.checkpoint, certified.certificate, ledger.node.application.validators)


async def test_status_shows_the_genesis_and_the_head(ledger: Running) -> None:
    await ledger.client.submit(ledger.kit.asset().raw, Stage.CERTIFIED)
    status = await ledger.clients[NOTARY].status()
    assert status.genesis == ledger.kit.home.genesis()
    assert status.validators == ledger.node.application.validators
    assert (status.height, status.certified_height, status.engine, status.pending) == (1, 1, "embedded", 0)


async def test_a_message_beyond_the_limit_is_refused(ledger: Running) -> None:
    raw = tx_pb.SignedTransaction(transaction=bytes(MAX_RECEIVE_BYTES + 1)).SerializeToString()
    with pytest.raises(Rejected) as caught:
        await ledger.client.submit(raw)
    assert caught.value.code == "MESSAGE_TOO_LARGE"
    raw = tx_pb.SignedTransaction(transaction=bytes(1024 * 1024)).SerializeToString()
    with pytest.raises(Rejected):
        await ledger.client.submit(raw)
    assert (await ledger.client.status()).pending == 0


async def test_health_and_reflection_answer(ledger: Running) -> None:
    channel = _channel(ledger)
    health = health_pb2_grpc.HealthStub(channel)
    for name in ("", SERVICE):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    question = reflection_pb2.ServerReflectionRequest(list_services="")
    answers = [a async for a in reflection.ServerReflectionInfo(iter([question]))]
    names = {s.name for s in answers[0].list_services_response.service}
    assert SERVICE in names
    await channel.close()


def _channel(ledger: Running) -> grpc.aio.Channel:
    credentials = client_credentials(ledger.kit.home.member_tls(ORIGINATOR))
    return grpc.aio.secure_channel(ledger.node.server.address, credentials)
