from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import grpc
import grpc.aio
import pytest
from ledger_kit import ORIGINATOR, Running
from lianqiao.ledger.v1 import ledger_pb2 as pb
from lianqiao.ledger.v1.ledger_pb2_grpc import LedgerServiceStub

from lianqiao_base.errors import Fatal, LianqiaoError, Rejected, Retryable, Unauthenticated
from lianqiao_base.tls import Authority, TlsFiles, client_credentials, fingerprint, server_credentials
from mainland_chain.app import LedgerNode
from mainland_chain.client import LedgerClient, RetryPolicy

SHORT = RetryPolicy(deadline_s=1.0)
NOW = dt.datetime.now(dt.UTC)


async def refused(target: str, files: TlsFiles) -> LianqiaoError:
    async with LedgerClient(target, files, retry=SHORT) as client:
        with pytest.raises(LianqiaoError) as caught:
            await client.status()
    return caught.value


async def test_without_a_client_certificate_there_is_no_connection(ledger: Running) -> None:
    authority = ledger.kit.home.tls.certificate.read_bytes()
    async with grpc.aio.secure_channel(ledger.node.server.address, grpc.ssl_channel_credentials(authority)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await LedgerServiceStub(channel).GetStatus(pb.GetStatusRequest(), timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_plain_text_is_not_spoken(ledger: Running) -> None:
    async with grpc.aio.insecure_channel(ledger.node.server.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await LedgerServiceStub(channel).GetStatus(pb.GetStatusRequest(), timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_of_another_authority_is_refused_by_the_server(ledger: Running, tmp_path: Path) -> None:
    foreign = Authority.create(tmp_path / "foreign", "foreign", NOW).issue(ORIGINATOR, NOW)
    trusting = TlsFiles(foreign.certificate, foreign.private_key, ledger.kit.home.tls.certificate)
    assert isinstance(await refused(ledger.node.server.address, trusting), Retryable)


async def test_a_server_of_another_authority_is_refused_by_the_client(ledger: Running, tmp_path: Path) -> None:
    own = ledger.kit.home.member_tls(ORIGINATOR)
    foreign = Authority.create(tmp_path / "foreign", "foreign", NOW)
    error = await refused(ledger.node.server.address, TlsFiles(own.certificate, own.private_key, foreign.certificate))
    assert isinstance(error, Unauthenticated) and error.code == "TLS_CERTIFICATE"


async def test_a_certificate_of_no_member_is_refused(ledger: Running) -> None:
    stranger = ledger.kit.home.tls.issue("stranger", NOW)
    error = await refused(ledger.node.server.address, stranger)
    assert isinstance(error, Unauthenticated) and error.code == "UNKNOWN_MEMBER"
    assert error.message and fingerprint(stranger.certificate.read_bytes()).hex() in str(error)


async def test_every_method_asks_who_is_calling(ledger: Running) -> None:
    stranger = ledger.kit.home.tls.issue("stranger", NOW)
    async with grpc.aio.secure_channel(ledger.node.server.address, client_credentials(stranger)) as channel:
        stub = LedgerServiceStub(channel)
        stream = stub.StreamCheckpoints(pb.StreamCheckpointsRequest(from_height=1), timeout=5)
        calls = [
            stub.Submit(pb.SubmitRequest(), timeout=5),
            stub.SubmitStream(iter([pb.SubmitStreamRequest()]), timeout=5),
            stub.GetTransaction(pb.GetTransactionRequest(transaction_hash=bytes(32)), timeout=5),
            stub.GetRecord(pb.GetRecordRequest(record_id=bytes(32)), timeout=5),
            stub.GetInclusionProof(pb.GetInclusionProofRequest(log_index=0), timeout=5),
            stub.GetConsistencyProof(pb.GetConsistencyProofRequest(first=1), timeout=5),
            stub.GetCheckpoint(pb.GetCheckpointRequest(), timeout=5),
            stub.GetStatus(pb.GetStatusRequest(), timeout=5),
            stream.read(),
        ]
        assert len(calls) == len(pb.DESCRIPTOR.services_by_name["LedgerService"].methods)
        for answer in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(answer, grpc.aio.AioRpcError)
            assert answer.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_an_expired_certificate_is_refused(ledger: Running) -> None:
    expired = ledger.kit.home.tls.issue("expired", NOW - dt.timedelta(days=400))
    assert isinstance(await refused(ledger.node.server.address, expired), Retryable)


async def test_two_ledgers_never_share_a_port(ledger: Running, tmp_path: Path) -> None:
    config = ledger.kit.home.config()
    taken = config.model_copy(
        update={"server": config.server.model_copy(update={"listen": ledger.node.server.address})}
    )
    taken = taken.model_copy(update={"store": config.store.model_copy(update={"path": tmp_path / "other.sqlite3"})})
    with pytest.raises(Fatal) as caught:
        LedgerNode.build(taken)
    assert caught.value.code == "LISTEN"


def test_private_keys_are_private_and_never_overwritten(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path, "test", NOW)
    files = authority.issue("leaf", NOW)
    for key in (authority.private_key, files.private_key):
        assert key.stat().st_mode & 0o777 == 0o600
    for again in (lambda: Authority.create(tmp_path, "test", NOW), lambda: authority.issue("leaf", NOW)):
        with pytest.raises(Rejected) as caught:
            again()
        assert caught.value.code == "TLS_EXISTS"


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    files = Authority.create(tmp_path, "test", NOW).issue("leaf", NOW)
    files.private_key.chmod(0o640)
    for load in (client_credentials, server_credentials):
        with pytest.raises(Fatal) as caught:
            load(files)
        assert caught.value.code == "TLS_KEY_MODE"
    files.private_key.unlink()
    with pytest.raises(Fatal) as missing:
        client_credentials(files)
    assert missing.value.code == "TLS_FILES"


def test_a_fingerprint_is_that_of_the_der_form(tmp_path: Path) -> None:
    import hashlib
    import ssl

    files = Authority.create(tmp_path, "test", NOW).issue("leaf", NOW)
    pem = files.certificate.read_text()
    assert fingerprint(pem.encode()) == hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()
    with pytest.raises(Rejected):
        fingerprint(b"no certificate")
