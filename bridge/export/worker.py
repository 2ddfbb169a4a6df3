"""The export side at work: follows the ledger's checkpoints, runs the jobs that are due, and sees delivered ones to their end.

What is due is remembered in memory only: after a start every job is looked at once, so nothing depends on it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from bridge.export.exporter import is_superseded
from bridge.export.store import ExportJob, ExportStore, JobState, OpenJob
from lianqiao_base.errors import Fatal, LianqiaoError, Rejected, Retryable
from mainland_chain.light.types import CertifiedCheckpoint

logger = logging.getLogger(__name__)

_BEFORE_LOG = (JobState.ASKED, JobState.DECIDED)


class Checkpoints(Protocol):
    """The ledger, as far as the worker follows it."""

    def checkpoints(self, from_height: int = 0) -> AsyncIterator[CertifiedCheckpoint]: ...


class JobRunner(Protocol):
    """What takes one job further: the exporter."""

    async def run(self, job: ExportJob) -> ExportJob: ...

    async def follow(self, job: ExportJob) -> ExportJob: ...

    async def series(self, job: ExportJob) -> str: ...

    def note(self, job: ExportJob, reason: str) -> ExportJob: ...


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Seconds, and the most jobs of one round."""

    poll_s: float = 1.0
    """How often the store is looked at for new requests: an idle ledger makes no checkpoints."""
    first_delay_s: float = 0.5
    longest_delay_s: float = 60.0
    jobs_per_round: int = 100
    grace_s: float = 5.0
    """How long a running call may take to end after a stop; then it is cut off, which harms nothing."""


class ExportWorker:
    """Works until told to stop. One worker for each job store."""

    def __init__(
        self,
        runner: JobRunner,
        store: ExportStore,
        ledger: Checkpoints,
        settings: WorkerSettings | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runner = runner
        self._store = store
        self._ledger = ledger
        self._settings = settings or WorkerSettings()
        self._monotonic = monotonic
        self._due: dict[bytes, float] = {}
        self._delay: dict[bytes, float] = {}
        self._aside: set[bytes] = set()
        self._superseded: set[bytes] = set()
        self._series: dict[bytes, str] = {}
        self._wake = asyncio.Event()

    async def watch(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. A running step is given a moment to end; cut off, it is done again after the next start."""
        follower = asyncio.create_task(self._follow_checkpoints())
        try:
            while not stop.is_set():
                self._wake.clear()
                more = await _until(stop, self._round_or_wait(stop), self._settings.grace_s)
                if not more:
                    await _first(stop.wait(), self._wake.wait(), timeout_s=self._settings.poll_s)
        finally:
            follower.cancel()
            with suppress(asyncio.CancelledError):
                await follower

    async def _follow_checkpoints(self) -> None:
        # No place is stored: the first round looks at every job, so what was certified before the start is not missed.
        height, delay = 0, self._settings.first_delay_s
        while True:
            try:
                async for certified in self._ledger.checkpoints(height):
                    height, delay = certified.checkpoint.height + 1, self._settings.first_delay_s
                    for job_id in self._superseded:
                        self._due.pop(job_id, None)
                    self._wake.set()
            except LianqiaoError as error:
                level = logging.INFO if isinstance(error, Retryable) else logging.ERROR
                logger.log(level, "checkpoints cannot be followed", extra={"code": error.code})
            except Exception as error:
                # What a ledger may send wrongly must not end the work: the job store is looked at all the same.
                logger.error("checkpoints cannot be followed", extra={"error": type(error).__name__})
            await asyncio.sleep(delay)
            delay = min(delay * 2, self._settings.longest_delay_s)

    async def _round_or_wait(self, stop: asyncio.Event) -> bool:
        try:
            return await self.round(stop)
        except (SQLAlchemyError, Retryable) as error:
            # The text of a database error may hold what was to be stored.
            logger.error("the job store cannot be used", extra={"error": type(error).__name__})
            return False

    async def round(self, stop: asyncio.Event | None = None) -> bool:
        """Take the jobs that are due one by one, oldest first, at most `jobs_per_round`; whether more are due.

        Telemetry of one asset goes to the log in the order in which it was asked for: an interval that waits holds up the later
        ones of its asset, for the ledger would refuse it for ever once they were logged. Nothing else waits for anything.
        """
        jobs = self._store.open_jobs()
        self._forget_all_but({job.job_id for job in jobs})
        left = self._settings.jobs_per_round
        held_up: set[tuple[bytes, str]] = set()
        for job in jobs:
            if stop is not None and stop.is_set():
                return False
            in_order = job.kind == "TelemetryClaim" and job.state in _BEFORE_LOG and job.job_id not in self._aside
            due = self._is_due(job)
            if not due and not in_order:
                continue
            if left == 0:
                return True
            if not in_order:
                left -= 1
                await self._attempt(job)
                continue
            known = job.job_id in self._series
            series = await self._series_of(job) if known or due else None
            lane, every = (job.destination, series or ""), (job.destination, "")
            if lane in held_up or every in held_up:
                continue
            left -= 0 if known and not due else 1
            if series is None or not due or not await self._attempt(job):
                held_up.add(lane)
        return False

    def _is_due(self, job: OpenJob) -> bool:
        return job.job_id not in self._aside and self._due.get(job.job_id, 0.0) <= self._monotonic()

    async def _series_of(self, job: OpenJob) -> str | None:
        """None while the ledger cannot be asked: then the job waits, and may be of any series."""
        known = self._series.get(job.job_id)
        if known is not None:
            return known
        try:
            known = await self._runner.series(self._store.get(job.job_id))
        except SQLAlchemyError:
            raise
        except Retryable as error:
            self._wait(job.job_id, error)
            return None
        except Exception as error:
            # The attempt meets the same error and deals with it.
            logger.debug("series unknown", extra={"job": job.job_id.hex(), "error": type(error).__name__})
            return job.job_id.hex()
        self._series[job.job_id] = known
        return known

    async def _attempt(self, job: OpenJob) -> bool:
        """Take a job further; whether it no longer stands before the log. No error of a job leaves here, except the store's."""
        key = job.job_id
        try:
            before = self._store.get(key)
            step = self._runner.follow if before.state is JobState.DELIVERED else self._runner.run
            after = await step(before)
        except SQLAlchemyError:
            raise
        except (Retryable, Rejected) as error:
            self._wait(key, error)
            return False
        except Fatal as error:
            logger.critical("export stopped", extra={"job": key.hex(), "code": error.code})
            self._put_aside(key, str(error))
            return True
        except Exception as error:
            # Not one of ours: its text may hold anything, so only its kind is shown.
            logger.critical("export stopped", extra={"job": key.hex(), "error": type(error).__name__})
            self._put_aside(key, f"INTERNAL: unexpected {type(error).__name__}")
            return True
        if after.state is JobState.DELIVERED:
            self._superseded.discard(key)
            if is_superseded(after.reason):
                self._superseded.add(key)
            self._later(key, again=before.state is JobState.DELIVERED)
        return True

    def _wait(self, key: bytes, error: Retryable | Rejected) -> None:
        # Rejected: not the job, but this process is not welcome; the operator may mend it at any time.
        level = logging.INFO if isinstance(error, Retryable) else logging.ERROR
        logger.log(level, "export waits", extra={"job": key.hex(), "code": error.code})
        self._note(key, str(error))
        self._later(key)

    def _put_aside(self, key: bytes, reason: str) -> None:
        """Not tried again by this process: an operator looks, and starts it anew."""
        self._aside.add(key)
        self._note(key, reason)

    def _note(self, key: bytes, reason: str) -> None:
        # For `export list` only: a job that cannot even be read must not hold up the others.
        with suppress(LianqiaoError, ValueError):
            self._runner.note(self._store.get(key), reason)

    def _later(self, key: bytes, *, again: bool = True) -> None:
        delay = self._delay.get(key, self._settings.first_delay_s) if again else self._settings.first_delay_s
        self._due[key] = self._monotonic() + delay
        self._delay[key] = min(delay * 2, self._settings.longest_delay_s)

    def _forget_all_but(self, keys: set[bytes]) -> None:
        for known in (self._due, self._delay, self._series):
            for key in known.keys() - keys:
                del known[key]
        self._aside &= keys
        self._superseded &= keys


async def _until(stop: asyncio.Event, work: Awaitable[bool], grace_s: float) -> bool:
    """The result of `work`; after a stop it has `grace_s` to end and is then cancelled."""
    task = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await asyncio.wait({task}, timeout=grace_s)
        if task.done():
            return task.result()
        return False
    finally:
        for waiting in (task, stopping):
            waiting.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)


async def _first(*waits: Awaitable[object], timeout_s: float) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
