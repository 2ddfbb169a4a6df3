"""The import rules hold, and a planted violation of each breaks its contract: the boundary is enforced, not described."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("lianqiao_base", "mainland_chain", "compliance", "hk_l2", "bridge")


def copy_of_the_tree(folder: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copy(ROOT / "README.md", folder)
    skip = shutil.ignore_patterns("__pycache__", "contracts", "abi", "data")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    shutil.copytree(ROOT / "proto/gen/lianqiao", folder / "lianqiao", ignore=skip)
    return folder


def lint(folder: Path) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1", "COLUMNS": "200"}
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_the_tree(tmp_path_factory.mktemp("tree"))


def test_the_contracts_hold(tree: Path) -> None:
    code, text = lint(tree)
    assert code == 0, text
    assert "0 broken" in text


@pytest.mark.parametrize(
    ("module", "planted", "contract"),
    [
        ("bridge/delivery/order.py", "import mainland_chain.records.record", "De-identification boundary"),
        ("compliance/transfer/address.py", "import mainland_chain.state.entities", "De-identification boundary"),
        ("hk_l2/keys.py", "import mainland_chain.light.types", "Layers"),
        ("mainland_chain/home.py", "import hk_l2.keys", "Layers"),
        ("compliance/export/model.py", "import bridge.cli", "Layers"),
        ("bridge/delivery/order.py", "import gmssl_pyx", "Only mainland_chain.crypto imports an SM library"),
        ("mainland_chain/state/apply.py", "import sqlalchemy", "The pure core of the ledger"),
        ("mainland_chain/light/trust.py", "import asyncio", "The pure core of the ledger"),
    ],
)
def test_a_planted_violation_breaks_its_contract(tree: Path, module: str, planted: str, contract: str) -> None:
    path = tree / module
    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}\n{planted}\n", encoding="utf-8")
    try:
        code, text = lint(tree)
    finally:
        path.write_text(before, encoding="utf-8")
    assert code != 0
    broken = [part for part in text.split("Contracts:")[0].split("---") if "BROKEN" in part]
    assert contract in " ".join(broken), text[:1500]
