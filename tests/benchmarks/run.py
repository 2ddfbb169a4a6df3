"""`make bench`: every figure with its baseline from the same run, as a table and in bench-output/main.json. None passes or fails."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bridge.demo.run import Run, run_demo
from tests.benchmarks import bench_crypto, bench_ledger

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "bench-output" / "main.json"
GAS_TESTS = ("tests/contracts/test_gas.py", "tests/contracts/mint/test_controller_gas.py")
GAS_GOALS = {
    "update, 3 of 4": ("light_client_update_3of4_gas", 190_000),
    "update, 7 of 10": ("light_client_update_7of10_gas", 360_000),
    "mint, fresh holder": ("mint_gas", 200_000),
}
DEMO_GOAL_S = 60
Figures = dict[str, dict[str, Any]]


def _figure(value: float, unit: str, baseline: float | None = None) -> dict[str, Any]:
    return {"value": value, "unit": unit, "baseline": baseline, "ratio": value / baseline if baseline else None}


def gas() -> Figures:
    """Whole transactions on anvil's default hardfork, from the contract tests."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "gas.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *GAS_TESTS]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode or not report.exists():
            raise RuntimeError(f"the gas tests failed:\n{done.stdout[-2000:]}")
        found = ElementTree.parse(report).iter("property")  # noqa: S314 - pytest wrote it just now
        costs = {str(p.get("name")): int(str(p.get("value"))) for p in found}
    if not costs:
        Console(stderr=True).print("[yellow]gas: skipped, anvil is not installed (npm ci)[/yellow]")
    figures: Figures = {}
    for label, cost in costs.items():
        name, goal = GAS_GOALS.get(label, (f"gas_{label.replace(', ', '_').replace(' ', '_')}", None))
        figures[name] = _figure(cost, "gas", goal)
    return figures


def demo() -> Figures:
    """The main job, without installation; the baseline is its goal of 60 s."""
    kept: list[Run] = []

    async def keep(run: Run) -> None:
        kept.append(run)

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        asyncio.run(run_demo(Path(folder) / "run", finish=keep))
        seconds = time.perf_counter() - start
    stages = {
        f"demo_stage_{i + 1}_seconds": _figure(s.ms / 1000, f"s ({s.name})") for i, s in enumerate(kept[0].stages.done)
    }
    return {"demo_seconds": _figure(seconds, "s", DEMO_GOAL_S), **stages}


PARTS: dict[str, Callable[[], Mapping[str, Any]]] = {
    "cryptography": lambda: bench_crypto.run(0.5),
    "admission, one signature per reading": bench_ledger.admission_single_per_s,
    "admission, one signature per 288 readings; latency": bench_ledger.readings_batched_per_s,
    "inclusion proofs from a log of 1,000,000 claims": bench_ledger.inclusion_proof_1m_p99_ms,
    "gas": gas,
    "the demonstration": demo,
}


def main() -> None:
    console = Console()
    figures: Figures = {}
    for title, measure in PARTS.items():
        console.print(f"measuring {title} ...")
        figures.update({name: dict(value) for name, value in measure().items()})
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    table = Table("figure", "value", "unit", "baseline", "ratio")
    for name, f in figures.items():
        baseline = "" if f["baseline"] is None else f"{f['baseline']:,.1f}"
        ratio = "" if f["ratio"] is None else f"{f['ratio']:.2f}"
        table.add_row(name, f"{f['value']:,.2f}".rstrip("0").rstrip("."), f["unit"], baseline, ratio)
    console.print(table)
    console.print(f"written to {OUTPUT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
