"""How fast the ledger admits, certifies and proves. Each function returns {name: {value, unit, baseline, ratio}}.

The ledger runs as its own process behind mutual TLS, as in production; this process is its client. Transactions are signed before the
clock starts. Run one with `python tests/benchmarks/bench_ledger.py [name]`.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration" / "ledger"))

from ledger_kit import ORIGINATOR, Device, Kit

from mainland_chain.app import clock_ms
from mainland_chain.client import LedgerClient, RetryPolicy
from mainland_chain.crypto import sm2
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.crypto.sm3 import sm3
from mainland_chain.engines.protocol import Stage
from mainland_chain.home import init
from mainland_chain.light.types import CertifiedCheckpoint, QuorumCertificate
from mainland_chain.log.hashing import KECCAK, SM3
from mainland_chain.log.proof import verify_inclusion
from mainland_chain.log.tree import CompactRange, merkle_root
from mainland_chain.service.proofs import claim_proof
from mainland_chain.state.block import BlockCommit, Header
from mainland_chain.state.entities import SigningMode
from mainland_chain.store import SqlLedgerStore

PROGRAM = Path(__file__).resolve().parent.parent / "e2e" / "ledger_process.py"
Figures = dict[str, dict[str, float | str | None]]

READINGS = 288
BATCH_GOAL = 30_000
CLAIM_BYTES = 672
STREAMS = 4


def figure(value: float, unit: str, baseline: float | None = None) -> dict[str, float | str | None]:
    ratio = None if baseline is None else round(value / baseline, 3)
    return {"value": round(value, 3), "unit": unit, "baseline": baseline and round(baseline, 3), "ratio": ratio}


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def verify_rate(threads: int, seconds: float = 1.5) -> float:
    """SM2 verifications per second of the provider on `threads` threads, and nothing else."""
    key = PrivateKey.generate()
    message = b"x" * 132
    signature = key.sign(message)
    sm2.verify(key.public_key, message, signature)

    def work() -> int:
        count, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            sm2.verify(key.public_key, message, signature)
            count += 1
        return count

    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        total = sum(f.result() for f in [pool.submit(work) for _ in range(threads)])
    return total / (time.perf_counter() - start)


@asynccontextmanager
async def running_ledger() -> AsyncIterator[tuple[Kit, LedgerClient]]:
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{free.getsockname()[1]}"
        free.close()
        kit = Kit.open(init(Path(folder) / "home", now_ms=clock_ms(), listen=listen))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(PROGRAM),
            str(kit.home.config_path),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        await process.stdout.readline()
        try:
            async with kit.home.client(ORIGINATOR, retry=RetryPolicy(120.0)) as client:
                await client.submit(kit.asset().raw)
                yield kit, client
        finally:
            process.terminate()
            await process.wait()


async def registered(kit: Kit, client: LedgerClient, mode: SigningMode, count: int) -> list[Device]:
    devices = [Device(f"dev-{mode.name.lower()}-{i}", mode) for i in range(count)]
    for device in devices:
        await client.submit(kit.device(device).raw)
    return devices


def batches(kit: Kit, device: Device, count: int, readings: int) -> list[bytes]:
    return [device.batch(kit.builders[ORIGINATOR], readings).raw for _ in range(count)]


async def committed_per_s(client: LedgerClient, streams: Sequence[Sequence[bytes]]) -> float:
    """Transactions per second from the first byte sent to the last outcome, on parallel streams."""
    start = time.perf_counter()
    answers = await asyncio.gather(*(client.submit_many(s) for s in streams))
    seconds = time.perf_counter() - start
    assert all(o.result.ok for outcomes in answers for o in outcomes)
    return sum(map(len, streams)) / seconds


async def _admission() -> Figures:
    async with running_ledger() as (kit, client):
        devices = await registered(kit, client, SigningMode.READING, STREAMS)
        streams = [batches(kit, d, 40, 96) for d in devices]
        cores = os.cpu_count() or 1
        before = verify_rate(cores)
        rate = 96 * await committed_per_s(client, streams)
        all_cores = (before + verify_rate(cores)) / 2
        return {
            "sm2_verify_all_cores_per_s": figure(all_cores, "1/s"),
            "sm2_verify_one_core_per_s": figure(verify_rate(1), "1/s"),
            "admission_single_per_s": figure(rate, "readings/s", all_cores),
        }


async def _batched() -> Figures:
    async with running_ledger() as (kit, client):
        devices = await registered(kit, client, SigningMode.BATCH, STREAMS)
        warm = [batches(kit, d, 10, READINGS) for d in devices]
        streams = [batches(kit, d, 150, READINGS) for d in devices]
        await committed_per_s(client, warm)
        rate = await committed_per_s(client, streams)
        return {"readings_batched_per_s": figure(rate * READINGS, "readings/s", BATCH_GOAL)} | await _latency(
            kit, client, devices, 0.8 * rate
        )


async def _latency(kit: Kit, client: LedgerClient, devices: list[Device], rate: float, seconds: float = 6.0) -> Figures:
    """Open loop: transactions leave on schedule whether or not earlier ones are done, so that queueing shows."""
    count = int(rate * seconds)
    raws = [devices[i % len(devices)].batch(kit.builders[ORIGINATOR], READINGS).raw for i in range(count)]
    latencies: list[float] = []

    async def one(raw: bytes, due: float) -> None:
        await client.submit(raw, Stage.CERTIFIED)
        latencies.append(1_000 * (time.perf_counter() - due))

    start = time.perf_counter()
    tasks = []
    for i, raw in enumerate(raws):
        due = start + i / rate
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        tasks.append(asyncio.create_task(one(raw, due)))
    await asyncio.gather(*tasks)
    return {
        "submit_to_certificate_p50_ms": figure(percentile(latencies, 0.5), "ms"),
        "submit_to_certificate_p99_ms": figure(percentile(latencies, 0.99), "ms", 1_000),
    }


def admission_single_per_s() -> Figures:
    """One signature per reading. Baseline: the provider's verifications on all cores, in the same run."""
    return asyncio.run(_admission())


def readings_batched_per_s() -> Figures:
    """One signature per 288 readings; then, at 80 % of that rate, the time from submission to certificate."""
    return asyncio.run(_batched())


def inclusion_proof_1m_p99_ms(size: int = 1_000_000, proofs: int = 2_000) -> Figures:
    """Proofs of random claims from a log of `size` in SQLite, each verified."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.sqlite3"
        chain_id = sm3(b"bench")
        _fill(path, chain_id, size)
        store = SqlLedgerStore.open_file(path, chain_id)  # afresh: nothing cached by the writer
        dice = random.Random(7)
        times = []
        for _ in range(proofs):
            index = dice.randrange(size)
            start = time.perf_counter()
            proof = claim_proof(store, index, 0)
            times.append(1_000 * (time.perf_counter() - start))
            verify_inclusion(KECCAK, KECCAK.leaf(proof.leaf_data), index, size, proof.path, proof.root)
        store.close()
    return {
        "inclusion_proof_1m_p50_ms": figure(percentile(times, 0.5), "ms"),
        "inclusion_proof_1m_p99_ms": figure(percentile(times, 0.99), "ms", 10),
    }


def _fill(path: Path, chain_id: bytes, size: int, step: int = 50_000) -> None:
    """One block with `size` claims, written past the store: building it as the ledger would takes minutes."""
    store = SqlLedgerStore.open_file(path, chain_id)
    log = CompactRange(KECCAK)
    padding = bytes(CLAIM_BYTES - 8)
    while log.size < size:
        claims = [i.to_bytes(8, "big") + padding for i in range(log.size, min(log.size + step, size))]
        leaves = [KECCAK.leaf(c) for c in claims]
        rows = [
            (log.size + i, c, leaf, chain_id, chain_id) for i, (c, leaf) in enumerate(zip(claims, leaves, strict=True))
        ]
        log, nodes = log.extend(leaves)
        with store.engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO claims VALUES (?, ?, ?, ?, ?)", rows)
            connection.exec_driver_sql(
                "INSERT INTO log_nodes VALUES (?, ?, ?)", [(n.level, n.index, n.hash) for n in nodes]
            )
    empty = merkle_root(SM3, [])
    header = Header(chain_id, 1, 1, chain_id, empty, empty, chain_id, log.size, log.root(), 0, chain_id, chain_id)
    store.commit(BlockCommit(header, header.hash(), (), (), (), (), (), (), ()))
    store.save_certificate(CertifiedCheckpoint(header.checkpoint(), QuorumCertificate(1, (bytes(64),))))
    store.close()


BENCHMARKS: dict[str, Callable[[], Figures]] = {
    f.__name__: f for f in (admission_single_per_s, readings_batched_per_s, inclusion_proof_1m_p99_ms)
}


if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        sys.stdout.write(json.dumps(BENCHMARKS[name](), indent=1) + "\n")
