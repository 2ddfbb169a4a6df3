"""What a demonstration tries and must see refused: one forgery or breach per gate."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace

from bridge.delivery.client import DeliveryClient
from bridge.demo.hongkong import HongKongZone
from bridge.demo.identities import identity_payload
from bridge.demo.mainland import APPROVAL, FILING, MainlandZone
from bridge.demo.model import RefusalRow
from bridge.export.exporter import Exporter
from bridge.export.store import JobState
from hk_l2 import keys
from lianqiao_base.errors import Fatal, LianqiaoError
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.export.decision import SignedExportDecision
from mainland_chain.light.packet import Packet
from mainland_chain.light.types import QuorumCertificate
from mainland_chain.records.reading import Reading
from mainland_chain.state.entities import SigningMode


async def _refused(what: str, gate: str, attempt: Callable[[], Awaitable[object]]) -> RefusalRow:
    try:
        await attempt()
    except LianqiaoError as error:
        return RefusalRow(what, gate, error.code, error.message)
    raise Fatal("FORGERY_ACCEPTED", f"{what}: {gate} let it pass", hint="stop: this is a defect of a gate")


async def at_the_ledger(mainland: MainlandZone, device_id: str, signed: SignedExportDecision) -> list[RefusalRow]:
    """A reading signed by a stranger, and an export decision signed by a gate that the policy does not name."""
    stranger = PrivateKey.generate()
    reading = Reading(10**6, 1_700_000_000_000, 1, 1, 1, 0)
    forged_reading = mainland.builder.submit_telemetry(
        device_id=device_id, device_key=stranger, signing_mode=SigningMode.BATCH, readings=[reading]
    )
    message = signed.decision.signing_message(mainland.chain_id)
    forged_decision = SignedExportDecision(signed.decision, stranger.public_key, stranger.sign(message))
    forged_request = mainland.builder.request_export(forged_decision)
    return [
        await _refused(
            "reading signed with a stranger's key", "ledger admission", lambda: mainland.submit(forged_reading)
        ),
        await _refused(
            "export decision signed by an unknown gate", "ledger state machine", lambda: mainland.submit(forged_request)
        ),
    ]


async def at_the_export_gate(exporter: Exporter, record_id: bytes, destination: bytes) -> RefusalRow:
    """Ask for a field that the policy drops."""
    job = exporter.ask(
        "AssetClaim", (record_id,), ("plant_name",), destination, filing_reference=FILING, approval_reference=APPROVAL
    )
    job = await exporter.run(job)
    if job.state is not JobState.REFUSED:
        raise Fatal("FORGERY_ACCEPTED", "a dropped field was exported", hint="stop: this is a defect of a gate")
    code, _, message = job.reason.partition(": ")
    return RefusalRow("export of a field that the policy drops", "export preview and gate", code, message)


async def at_the_border(packet: Packet, client: DeliveryClient) -> list[RefusalRow]:
    """Packets with a changed claim, a repeated signature, no signers, and a changed checkpoint."""
    certified = packet.checkpoint
    certificate = certified.certificate
    first = certificate.signatures[0]
    repeated = QuorumCertificate(certificate.bitmap, (first,) * len(certificate.signatures))
    attempts = {
        "packet with one changed byte in the claim": replace(packet, claim=packet.claim[:-1] + b"\x01"),
        "certificate with one signature repeated": replace(packet, checkpoint=replace(certified, certificate=repeated)),
        "certificate without signers": replace(
            packet, checkpoint=replace(certified, certificate=QuorumCertificate(0, ()))
        ),
        "checkpoint with another log root": replace(
            packet,
            checkpoint=replace(certified, checkpoint=replace(certified.checkpoint, log_root=secrets.token_bytes(32))),
        ),
    }
    return [
        await _refused(what, "border (delivery)", lambda forged=forged: client.submit_packet(forged))  # type: ignore[misc]
        for what, forged in attempts.items()
    ]


async def at_the_mint(hongkong: HongKongZone, lock_ref: bytes, sanctioned: str, too_many: int) -> list[RefusalRow]:
    """An order that the issuer did not sign, one to a listed address, and one beyond the lock's capacity."""
    rows = []
    async with hongkong.issuer_client() as client:
        recipient = keys.generate().address
        good = hongkong.signed_order(lock_ref, recipient, 10)
        payload = identity_payload("Example", "Person", "1990-01-01", recipient)
        changed = replace(good, units=11)
        rows.append(
            await _refused_order("order changed after the issuer signed it", client, hongkong, changed, payload)
        )
        listed = hongkong.signed_order(lock_ref, sanctioned, 10)
        payload = identity_payload("Example", "Person", "1990-01-01", sanctioned)
        rows.append(
            await _refused_order("order to an address on the sanctions list", client, hongkong, listed, payload)
        )
        large = hongkong.signed_order(lock_ref, recipient, too_many)
        payload = identity_payload("Example", "Person", "1990-01-01", recipient)
        rows.append(await _refused_order("order beyond the lock's capacity", client, hongkong, large, payload))
    return rows


async def _refused_order(
    what: str, client: DeliveryClient, hongkong: HongKongZone, order: object, payload: bytes
) -> RefusalRow:
    try:
        receipt = await client.submit_order(order, payload)  # type: ignore[arg-type]
    except LianqiaoError as error:
        return RefusalRow(what, "border (delivery)", error.code, error.message)
    traced = await hongkong.wait_final(receipt.item_id, client)
    if traced.state == "final":
        raise Fatal("FORGERY_ACCEPTED", f"{what}: it was minted", hint="stop: this is a defect of a gate")
    code, _, message = traced.reason.partition(": ")
    return RefusalRow(what, f"delivery and transfer gate ({traced.state})", code, message)
