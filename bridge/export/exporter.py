"""Export jobs, step by step: preview, decision, request on the ledger, proof, packet over the border.

Every step is stored before it acts and may be repeated: a decision is inside a stored transaction, the ledger tells the outcome of a
transaction again, and Hong Kong knows a packet by its id. So a job that was cut off anywhere is just run again.
`bridge.export.worker` does that for as long as its process lives.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from bridge.delivery.client import Receipt, Traced
from bridge.export.preview import gate_policy, gate_values, openings, preview_claim
from bridge.export.store import ExportJob, ExportStore, JobState, new_job
from compliance.export.gate import ExportGate
from compliance.export.model import ExportFacts
from lianqiao_base.errors import (
    Fatal,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    Rejected,
    Retryable,
    Unauthenticated,
)
from mainland_chain.client import LedgerClient, RecordView
from mainland_chain.engines.protocol import Stage
from mainland_chain.export.claims import ClaimContext, asset_ref, claim_values_hash
from mainland_chain.export.decision import SignedExportDecision
from mainland_chain.export.policy import ExportPolicy
from mainland_chain.light.claims import Claim, TelemetryClaim, Transform, decode_claim
from mainland_chain.light.packet import Packet
from mainland_chain.light.types import Rotation
from mainland_chain.state.transactions import RequestExport
from mainland_chain.transaction_builder import TransactionBuilder
from mainland_chain.wire import parse

logger = logging.getLogger(__name__)

SUPERSEDED = "CHECKPOINT_SUPERSEDED"
"""Why the border holds a packet until it comes again under a newer checkpoint."""
_ASK_AGAIN = frozenset({"DECISION_LAPSED", "REPLAYED_NONCE", "TIME_IN_FUTURE"})
"""Refusals that a fresh decision and transaction end, or mere time: the job was cut off and the decision lapsed, or the member sent
other transactions meanwhile. A refused transaction stays refused, so the gate is asked again."""


class Border(Protocol):
    """The border service, as the exporter needs it."""

    async def submit_packet(self, packet: Packet) -> Receipt: ...

    async def trace(self, item_id: bytes) -> Traced: ...


class Exporter:
    """Runs export jobs of one member. `clock` gives ms UTC; `probe` is told each step that was stored (for tests)."""

    def __init__(
        self,
        *,
        ledger: LedgerClient,
        builder: TransactionBuilder,
        gate: ExportGate,
        policy: ExportPolicy,
        border: Border,
        store: ExportStore,
        clock: Callable[[], int],
        rotations: Callable[[int], tuple[Rotation, ...]] = lambda epoch: (),
        probe: Callable[[str], None] = lambda step: None,
    ) -> None:
        self._ledger = ledger
        self._builder = builder
        self._gate = gate
        self._policy = policy
        self._border = border
        self._store = store
        self._clock = clock
        self._rotations = rotations
        self._probe = probe

    def ask(
        self,
        kind: str,
        record_ids: tuple[bytes, ...],
        fields: tuple[str, ...],
        destination: bytes,
        *,
        filing_reference: str,
        approval_reference: str,
    ) -> ExportJob:
        """Store a job. Asking for the same again gives the same job."""
        return self._store.add(
            new_job(
                kind,
                record_ids,
                fields,
                destination,
                self._policy.version,
                filing_reference=filing_reference,
                approval_reference=approval_reference,
            )
        )

    async def run(self, job: ExportJob) -> ExportJob:
        """Take a job as far as it goes: to `delivered` or `refused`. Raises `Retryable` when it should be run again later, and
        `Unauthenticated` or `PermissionDenied` when this process, not the job, is not welcome."""
        try:
            if job.state is JobState.ASKED:
                job = await self._decide(job)
            if job.state is JobState.DECIDED:
                job = await self._log(job)
            if job.state is JobState.LOGGED:
                job = await self._deliver(job)
        except (Unauthenticated, PermissionDenied):
            raise
        except Rejected as error:
            # The newest stored step: the error may come from behind it.
            job = self._refuse(self._store.get(job.job_id), error)
        return job

    async def follow(self, job: ExportJob) -> ExportJob:
        """Ask where a delivered packet stands, and hand it over again if its checkpoint was superseded or the border lost it.

        Raises like `run`.
        """
        try:
            traced = await self._border.trace(job.packet_id)
        except NotFound as error:
            if error.code != "ITEM_UNKNOWN":
                raise
            return await self._hand_over_again(job)
        if traced.state == "final":
            return self._step(job, "final", state=JobState.FINAL, reason="")
        if traced.state == "refused":
            return self._refuse(
                job, PreconditionFailed("REFUSED_AT_BORDER", traced.reason, subject=job.packet_id.hex())
            )
        if traced.state == "held" and is_superseded(traced.reason):
            return await self._hand_over_again(job)
        return self.note(job, traced.reason)

    async def _hand_over_again(self, job: ExportJob) -> ExportJob:
        try:
            receipt = await self.redeliver(job)
        except (Unauthenticated, PermissionDenied):
            raise
        except Rejected as error:
            return self._refuse(job, error)
        logger.info("handed over again", extra={"job": job.job_id.hex(), "state": receipt.state})
        self._probe("handed over again")
        return self.note(job, receipt.reason)

    def note(self, job: ExportJob, reason: str) -> ExportJob:
        """Keep why a job waits, for whoever asks."""
        return job if reason == job.reason else self._store.update(job, reason=reason)

    def _refuse(self, job: ExportJob, error: Rejected) -> ExportJob:
        logger.warning("export refused", extra={"job": job.job_id.hex(), "code": error.code})
        return self._step(job, "refused", state=JobState.REFUSED, reason=str(error))

    async def resume(self) -> tuple[ExportJob, ...]:
        """Run every unfinished job, oldest first; one that has to wait does not hold up the others."""
        done = []
        for job in self._store.unfinished():
            try:
                done.append(await self.run(job))
            except Retryable as error:
                logger.info("export waits", extra={"job": job.job_id.hex(), "code": error.code})
                done.append(self._store.get(job.job_id))
        return tuple(done)

    async def series(self, job: ExportJob) -> str:
        """The asset that a telemetry job is about: its intervals must be logged in order. Raises what the ledger raises."""
        view = await self._ledger.get_record(job.record_ids[0])
        return _asset_id(view)

    def _step(self, job: ExportJob, name: str, **changes: object) -> ExportJob:
        changed = self._store.update(job, **{"reason": "", **changes})
        self._probe(name)
        return changed

    async def _decide(self, job: ExportJob) -> ExportJob:
        if job.policy_version != self._policy.version:
            raise PreconditionFailed(
                "POLICY_CHANGED",
                f"asked under policy {job.policy_version}, in force is {self._policy.version}",
                subject=job.job_id.hex(),
                hint="ask again under the new policy",
            )
        destination = self._policy.destination(job.destination)
        if destination is None:
            raise Rejected(
                "DESTINATION_NOT_ALLOWED", "the policy does not name this destination", subject=job.destination.hex()
            )
        views = [await self._ledger.get_record(r) for r in job.record_ids]
        context = ClaimContext(
            chain_id=self._builder.chain_id,
            policy=self._policy,
            destination=destination,
            decision_hash=bytes(32),
            approval_valid_until_ms=0,
            height=0,
            time_ms=0,
        )
        claim = preview_claim(job.kind, context, views, job.fields, self._cumulative(job, views, context))
        facts = ExportFacts(
            claim_kind=job.kind,
            record_ids=job.record_ids,
            fields=job.fields,
            destination=job.destination,
            policy_version=job.policy_version,
            filing_reference=job.filing_reference,
            approval_reference=job.approval_reference,
            values=gate_values(claim),
        )
        signed = self._gate.decide(facts, gate_policy(self._policy), self._clock()).require_signed()
        built = self._builder.request_export(signed)
        return self._step(
            job, "decided", state=JobState.DECIDED, transaction=built.raw, previewed=claim_values_hash(claim).hex()
        )

    def _cumulative(self, job: ExportJob, views: list[RecordView], context: ClaimContext) -> int:
        if job.kind != "TelemetryClaim":
            return 0
        reference = asset_ref(context.destination, _asset_id(views[0]) if views else "")
        total = 0
        for raw in self._store.logged_telemetry(job.destination):
            claim = decode_claim(raw)
            if isinstance(claim, TelemetryClaim) and claim.envelope.asset_ref == reference:
                total = claim.cumulative_energy_wh
        return total

    async def _log(self, job: ExportJob) -> ExportJob:
        try:
            outcome = await self._ledger.submit(job.transaction, Stage.CERTIFIED)
            if not outcome.result.ok or outcome.result.log_index is None:
                raise PreconditionFailed(outcome.result.code, outcome.result.message, subject=job.job_id.hex())
        except Rejected as error:
            if error.code not in _ASK_AGAIN:
                raise
            self._step(job, "asked again", state=JobState.ASKED, transaction=b"", previewed="")
            raise Retryable(error.code, error.message, subject=job.job_id.hex()) from error
        self._probe("submitted")
        proof = await self._ledger.claim_proof(outcome.result.log_index)
        claim = decode_claim(proof.leaf_data)
        # The gate approved values; what the validators logged must be those values, or something is badly wrong.
        if claim_values_hash(claim).hex() != job.previewed:
            raise Fatal(
                "CLAIM_DIFFERS",
                "the ledger logged other values than the export gate approved",
                subject=f"log index {outcome.result.log_index}",
                hint="do not deliver; compare the preview with the record and the policy",
            )
        return self._step(
            job, "logged", state=JobState.LOGGED, log_index=outcome.result.log_index, claim=proof.leaf_data
        )

    async def packet(self, job: ExportJob) -> Packet:
        """The packet of a logged job under the newest certified checkpoint, with no more signatures than a quorum needs."""
        certified = await self._ledger.checkpoint()
        validators = (await self._ledger.status()).validators
        if validators.epoch == certified.checkpoint.epoch:
            certified = replace(certified, certificate=certified.certificate.trimmed(validators.quorum))
        proof = await self._ledger.claim_proof(job.log_index, certified.checkpoint.log_size)
        claim = decode_claim(job.claim)
        kept = () if isinstance(claim, TelemetryClaim) else _kept(claim)
        opened = openings(await self._ledger.get_record(job.record_ids[0]), kept) if kept else ()
        return Packet(
            claim=job.claim,
            log_index=job.log_index,
            inclusion_path=proof.path,
            checkpoint=certified,
            rotations=self._rotations(certified.checkpoint.epoch),
            openings=opened,
        )

    async def _deliver(self, job: ExportJob) -> ExportJob:
        packet = await self.packet(job)
        receipt = await self._border.submit_packet(packet)
        if receipt.state == "refused":
            raise PreconditionFailed("REFUSED_AT_BORDER", receipt.reason, subject=receipt.item_id.hex())
        self._probe("handed over")
        return self._step(job, "delivered", state=JobState.DELIVERED, packet_id=receipt.item_id, reason=receipt.reason)

    def signed_decision(self, job: ExportJob) -> SignedExportDecision:
        """The gate's decision inside a job's stored transaction."""
        body = parse(job.transaction).body
        if not isinstance(body, RequestExport):
            raise Fatal("JOB_CORRUPT", "the stored transaction is no export request", subject=job.job_id.hex())
        return body.decision

    async def redeliver(self, job: ExportJob) -> Receipt:
        """Hand a delivered packet over again, proved under the newest checkpoint: for packets held as superseded."""
        return await self._border.submit_packet(await self.packet(job))


def is_superseded(reason: str) -> bool:
    """Whether the border's reason says that a newer checkpoint is all it needs."""
    return reason.partition(":")[0] == SUPERSEDED


def _asset_id(view: RecordView) -> str:
    return next((f.value for f in view.fields if f.name == "asset_id"), "")


def _kept(claim: Claim) -> tuple[str, ...]:
    return tuple(f.name for f in claim.fields if f.transform is Transform.KEEP)
