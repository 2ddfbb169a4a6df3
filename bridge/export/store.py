"""Export jobs: what was asked, decided, logged and handed over, each step stored before the next is taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import sqlalchemy as sa

from lianqiao_base.errors import AlreadyExists, Fatal, NotFound, PreconditionFailed
from mainland_chain.crypto.sm3 import sm3


class JobState(StrEnum):
    ASKED = "asked"
    """Stored; the gate has not decided."""
    DECIDED = "decided"
    """The gate's decision is inside a signed transaction, stored before it is sent."""
    LOGGED = "logged"
    """The claim is in the export log."""
    DELIVERED = "delivered"
    """Hong Kong has taken the packet."""
    FINAL = "final"
    """The claim is on the L2, finally."""
    REFUSED = "refused"
    """The gate, the ledger or Hong Kong refused; the reason says which."""


@dataclass(frozen=True, slots=True)
class ExportJob:
    """One claim on its way. `job_id` is derived from what is asked, so asking twice is one job."""

    job_id: bytes
    kind: str
    record_ids: tuple[bytes, ...]
    fields: tuple[str, ...]
    destination: bytes
    policy_version: int
    filing_reference: str
    approval_reference: str
    state: JobState = JobState.ASKED
    reason: str = ""
    transaction: bytes = b""
    """Serialized SignedTransaction of the request."""
    previewed: str = ""
    """Digest of the values that the gate saw, hex."""
    log_index: int = -1
    claim: bytes = b""
    packet_id: bytes = b""


_ENDED = (JobState.FINAL, JobState.REFUSED)


def job_id(
    kind: str, record_ids: tuple[bytes, ...], fields: tuple[str, ...], destination: bytes, policy_version: int
) -> bytes:
    """32 bytes; the same request under the same policy version is the same job."""
    parts = [kind.encode(), b"".join(record_ids), "\n".join(fields).encode(), destination, str(policy_version).encode()]
    return sm3(b"lianqiao.export-job.v1" + b"".join(len(p).to_bytes(4, "big") + p for p in parts))


def new_job(
    kind: str,
    record_ids: tuple[bytes, ...],
    fields: tuple[str, ...],
    destination: bytes,
    policy_version: int,
    *,
    filing_reference: str,
    approval_reference: str,
) -> ExportJob:
    """What is asked, not yet stored. The order of fields means nothing; that of records does."""
    wanted = tuple(sorted(fields))
    identifier = job_id(kind, record_ids, wanted, destination, policy_version)
    return ExportJob(
        identifier, kind, record_ids, wanted, destination, policy_version, filing_reference, approval_reference
    )


@dataclass(frozen=True, slots=True)
class OpenJob:
    """As much of an unfinished job as it takes to choose what to do next."""

    job_id: bytes
    kind: str
    destination: bytes
    state: JobState


_metadata = sa.MetaData()
_jobs = sa.Table(
    "export_jobs",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("job_id", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("record_ids", sa.LargeBinary, nullable=False),
    sa.Column("fields", sa.Text, nullable=False),
    sa.Column("destination", sa.LargeBinary(32), nullable=False),
    sa.Column("policy_version", sa.BigInteger, nullable=False),
    sa.Column("filing_reference", sa.Text, nullable=False),
    sa.Column("approval_reference", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("transaction", sa.LargeBinary, nullable=False),
    sa.Column("previewed", sa.String(64), nullable=False),
    sa.Column("log_index", sa.BigInteger, nullable=False),
    sa.Column("claim", sa.LargeBinary, nullable=False),
    sa.Column("packet_id", sa.LargeBinary, nullable=False),
)


class ExportStore:
    """Jobs in a database (SQLite or PostgreSQL). One write, one transaction. Thread-safe."""

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(url, hide_parameters=True)
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _durable)
        _metadata.create_all(self._engine)

    def close(self) -> None:
        self._engine.dispose()

    def add(self, job: ExportJob) -> ExportJob:
        """Store a new job, or return the one that asks the same. Raises `AlreadyExists` when its references differ."""
        with self._engine.begin() as connection:
            row = connection.execute(sa.select(_jobs).where(_jobs.c.job_id == job.job_id)).mappings().first()
            if row is None:
                connection.execute(_jobs.insert().values(**_columns(job)))
                return job
        known = _job(row)
        if (known.filing_reference, known.approval_reference) != (job.filing_reference, job.approval_reference):
            raise AlreadyExists(
                "JOB_EXISTS", "this export was asked for under another filing or approval", subject=job.job_id.hex()
            )
        return known

    def get(self, identifier: bytes) -> ExportJob:
        """Raises `NotFound("JOB_NOT_FOUND")`."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(_jobs).where(_jobs.c.job_id == identifier)).mappings().first()
        if row is None:
            raise NotFound("JOB_NOT_FOUND", "no such export job", subject=identifier.hex())
        return _job(row)

    def unfinished(self) -> tuple[ExportJob, ...]:
        """Jobs that are not delivered yet and not refused, oldest first."""
        done = (JobState.DELIVERED, *_ENDED)
        query = sa.select(_jobs).where(_jobs.c.state.not_in(done)).order_by(_jobs.c.number)
        with self._engine.connect() as connection:
            return tuple(_job(r) for r in connection.execute(query).mappings())

    def open_jobs(self) -> tuple[OpenJob, ...]:
        """Jobs that are neither final nor refused, oldest first."""
        columns = (_jobs.c.job_id, _jobs.c.kind, _jobs.c.destination, _jobs.c.state)
        query = sa.select(*columns).where(_jobs.c.state.not_in(_ENDED)).order_by(_jobs.c.number)
        with self._engine.connect() as connection:
            return tuple(OpenJob(i, kind, to, JobState(state)) for i, kind, to, state in connection.execute(query))

    def newest(self, limit: int) -> tuple[ExportJob, ...]:
        """At most `limit` jobs, the newest first."""
        query = sa.select(_jobs).order_by(_jobs.c.number.desc()).limit(limit)
        with self._engine.connect() as connection:
            return tuple(_job(r) for r in connection.execute(query).mappings())

    def ask_again(self, job: ExportJob) -> ExportJob:
        """Take a refused job up again where it was refused: before the gate, or, once its claim is logged, before the border.

        Raises `PreconditionFailed("JOB_NOT_REFUSED")`.
        """
        if job.state is not JobState.REFUSED:
            raise PreconditionFailed("JOB_NOT_REFUSED", f"it is {job.state.value}", subject=job.job_id.hex())
        if job.log_index >= 0:
            return self.update(job, state=JobState.LOGGED, reason="")
        return self.update(job, state=JobState.ASKED, reason="", transaction=b"", previewed="")

    def logged_telemetry(self, destination: bytes) -> tuple[bytes, ...]:
        """Telemetry claims logged for a destination, in log order."""
        query = (
            sa.select(_jobs.c.claim)
            .where(_jobs.c.kind == "TelemetryClaim", _jobs.c.destination == destination, _jobs.c.log_index >= 0)
            .order_by(_jobs.c.log_index)
        )
        with self._engine.connect() as connection:
            return tuple(connection.execute(query).scalars())

    def update(self, job: ExportJob, **changes: object) -> ExportJob:
        """Store a step. The new job is returned.

        Raises `Fatal("JOB_CHANGED")`: a second process on the same store must not decide or log what the first did already.
        """
        changed = replace(job, **changes)  # type: ignore[arg-type]
        same = sa.and_(
            _jobs.c.job_id == job.job_id,
            _jobs.c.state == job.state.value,
            _jobs.c.transaction == job.transaction,
        )
        with self._engine.begin() as connection:
            written = connection.execute(_jobs.update().where(same).values(**_columns(changed)))
            if written.rowcount != 1:
                raise Fatal(
                    "JOB_CHANGED",
                    "the job was changed by somebody else meanwhile",
                    subject=job.job_id.hex(),
                    hint="run one export process for each job store",
                )
        return changed


def _durable(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _columns(job: ExportJob) -> dict[str, object]:
    values: dict[str, object] = {name: getattr(job, name) for name in ExportJob.__slots__}
    return {
        **values,
        "record_ids": b"".join(job.record_ids),
        "fields": "\n".join(job.fields),
        "state": job.state.value,
    }


def _job(row: sa.RowMapping) -> ExportJob:
    values = {name: row[name] for name in ExportJob.__slots__}
    ids = row["record_ids"]
    values["record_ids"] = tuple(ids[i : i + 32] for i in range(0, len(ids), 32))
    values["fields"] = tuple(row["fields"].split("\n")) if row["fields"] else ()
    values["state"] = JobState(row["state"])
    return ExportJob(**values)
