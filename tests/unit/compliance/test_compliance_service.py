"""The transfer gate over gRPC, through a real in-process server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from lianqiao.compliance.v1 import compliance_pb2 as pb
from lianqiao.compliance.v1 import compliance_pb2_grpc as pb_grpc

from compliance.evidence.store import DecisionStore
from compliance.transfer.clearance import Clearance, SignedClearance, verify_clearance
from compliance.transfer.gate import TransferGate, default_rules
from compliance.transfer.model import ScreeningSettings, TransferOrder
from compliance.transfer.sanctions import ConfiguredLists
from compliance.transfer.service import ComplianceServicer
from compliance.transfer.signer import LocalClearanceSigner

NOW_MS = 1_795_000_000_000
CONTROLLER = bytes.fromhex("12" * 20)
SIGNER = LocalClearanceSigner(bytes([1]) * 32)


@pytest_asyncio.fixture
async def stub(store: DecisionStore, sanctions: Any) -> AsyncIterator[Any]:
    gate = TransferGate(
        signers=[SIGNER],
        chain_id=31337,
        controller=CONTROLLER,
        store=store,
        lists=ConfiguredLists((sanctions,)),
        screening=ScreeningSettings(max_age_days=7),
        rules=default_rules(),
    )
    server = grpc.aio.server()
    pb_grpc.add_ComplianceServiceServicer_to_server(ComplianceServicer(gate, lambda: NOW_MS), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield pb_grpc.ComplianceServiceStub(channel)
    await server.stop(None)


@pytest.fixture
def request_for(identity_json: dict[str, Any], order: Callable[..., TransferOrder]) -> Callable[..., Any]:
    def build(**changes: Any) -> Any:
        asked = order()
        values: dict[str, Any] = {
            "order_id": asked.order_id,
            "lock_ref": asked.lock_ref,
            "issuer": asked.issuer,
            "recipient": asked.recipient,
            "units": asked.units,
            "deadline": asked.deadline,
            "price": pb.UnitPrice(currency="HKD", minor=10_000, as_of_ms=NOW_MS),
            "identity_json": json.dumps(identity_json).encode(),
        }
        return pb.DecideTransferRequest(**{**values, **changes})

    return build


async def test_decide_and_get(stub: Any, request_for: Any) -> None:
    answer = await stub.DecideTransfer(request_for())
    assert answer.decision.decision == pb.DECISION_ALLOW
    assert answer.decision.subject == "order:" + "11" * 32
    assert [pack.name for pack in answer.decision.rule_packs] == ["hk-transfer", "sanctions:TEST"]
    given = answer.clearance
    clearance = Clearance(
        given.order_id, given.lock_ref, given.recipient, given.units, given.decision_hash, given.expiry
    )
    signed = SignedClearance(clearance, tuple(given.signatures))
    verify_clearance(signed, chain_id=31337, controller=CONTROLLER, allowed={SIGNER.address}, threshold=1)
    assert await stub.DecideTransfer(request_for()) == answer
    found = await stub.GetDecision(pb.GetDecisionRequest(decision_hash=given.decision_hash))
    assert (found.decision, found.clearance) == (answer.decision, answer.clearance)


async def test_without_data_the_answer_is_needs_info_and_no_clearance(stub: Any, request_for: Any) -> None:
    request = request_for(identity_json=b"")
    request.ClearField("price")
    answer = await stub.DecideTransfer(request)
    assert answer.decision.decision == pb.DECISION_NEEDS_INFO
    assert not answer.HasField("clearance")
    assert {finding.path for finding in answer.decision.findings} >= {"identity", "price"}


async def test_screen(stub: Any) -> None:
    listed = await stub.ScreenAddress(pb.ScreenAddressRequest(address=bytes.fromhex("cc" * 20)))
    clean = await stub.ScreenAddress(pb.ScreenAddressRequest(address=b"\x01" * 20))
    assert (listed.decision, clean.decision) == (pb.DECISION_DENY, pb.DECISION_ALLOW)
    assert listed.findings[0].rule_id == "HK-SANCTIONS"


async def test_errors_have_their_status_and_no_personal_data(
    stub: Any, request_for: Any, identity_json: dict[str, Any]
) -> None:
    identity_json["Chan Tai Man"] = 1
    await stub.DecideTransfer(request_for(order_id=b"\x01" * 32, identity_json=b""))
    cases = [
        (stub.DecideTransfer(request_for(identity_json=json.dumps(identity_json).encode())), "INVALID_ARGUMENT"),
        (stub.DecideTransfer(request_for(identity_json=b"{")), "INVALID_ARGUMENT"),
        (stub.DecideTransfer(request_for(units=0)), "INVALID_ARGUMENT"),
        (stub.DecideTransfer(request_for(price=pb.UnitPrice(currency="HKD"))), "INVALID_ARGUMENT"),
        (stub.DecideTransfer(request_for(order_id=b"\x01" * 32, units=7, identity_json=b"")), "ALREADY_EXISTS"),
        (stub.ScreenAddress(pb.ScreenAddressRequest(address=b"\x01")), "INVALID_ARGUMENT"),
        (stub.GetDecision(pb.GetDecisionRequest(decision_hash=b"\x00" * 32)), "NOT_FOUND"),
    ]
    for call, status in cases:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code().name == status
        assert "Chan" not in f"{caught.value.details()} {caught.value.trailing_metadata()}"
