"""Removes one check of a contract at a time and expects a test to fail.

    python tools/mutate_contracts.py tests/contracts/mutations/light_client.toml [--match TEXT] [--list]

Works on a copy of the tree. A data file names the build groups and tests to run, and per mutation a source file and the text
to replace (which must occur exactly once). A mutation that no test notices is listed as a survivor, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("hk_l2", "mainland_chain", "lianqiao_base", "compliance", "bridge", "proto", "tests", "pyproject.toml")


@dataclass(frozen=True)
class Mutation:
    """One edit, and how to see it."""

    name: str
    file: str
    old: str
    new: str
    groups: tuple[str, ...]
    tests: tuple[str, ...]


def read(path: Path) -> list[Mutation]:
    """Mutations of a data file; `groups` and `tests` of the file are defaults."""
    document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    return [
        Mutation(
            name=entry["name"],
            file=entry.get("file", document.get("file", "")),
            old=entry["old"],
            new=entry.get("new", ""),
            groups=tuple(entry.get("groups", document["groups"])),
            tests=tuple(entry.get("tests", document["tests"])),
        )
        for entry in document["mutation"]
    ]


class Workbench:
    """A copy of the tree that is edited, built and tested."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.sqlite3*"))
            elif source.is_file():
                shutil.copy(source, folder / name)
        (folder / "node_modules").symlink_to(ROOT / "node_modules")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Python in the copy, which shadows the installed packages."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    def test(self, groups: tuple[str, ...], tests: tuple[str, ...]) -> tuple[bool, str]:
        """Builds and tests; whether all tests passed, and what happened."""
        only = [argument for group in groups for argument in ("--only", group)]
        built = self.run("-m", "hk_l2.build", *only)
        if built.returncode != 0:
            raise SystemExit(f"the build failed, so this says nothing:\n{built.stdout}{built.stderr}")
        tested = self.run("-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *tests)
        if tested.returncode not in (0, 1):
            raise SystemExit(f"pytest could not run:\n{tested.stdout}{tested.stderr}")
        failed = [line for line in tested.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return tested.returncode == 0, failed[0].split(" - ")[0] if failed else ""

    def killed_by(self, mutation: Mutation) -> str:
        """The first test that fails under the mutation, or an empty text."""
        path = self.folder / mutation.file
        original = path.read_text(encoding="utf-8")
        if original.count(mutation.old) != 1:
            raise SystemExit(
                f"{mutation.name}: the text occurs {original.count(mutation.old)} times in {mutation.file}"
            )
        path.write_text(original.replace(mutation.old, mutation.new), encoding="utf-8")
        try:
            passed, detail = self.test(mutation.groups, mutation.tests)
        finally:
            path.write_text(original, encoding="utf-8")
        return "" if passed else detail or "tests failed"


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Removes contract checks one by one; each must make a test fail.")
    parser.add_argument("data", type=Path, help="TOML file of mutations")
    parser.add_argument("--match", default="", help="only mutations whose name contains this text")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    options = parser.parse_args()
    mutations = [mutation for mutation in read(options.data) if options.match in mutation.name]
    if options.list:
        print("\n".join(mutation.name for mutation in mutations))
        return 0
    survivors = []
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        bench = Workbench(Path(folder))
        for mutation in mutations:
            start = time.monotonic()
            killer = bench.killed_by(mutation)
            if not killer:
                survivors.append(mutation.name)
            verdict = killer or "SURVIVED"
            print(f"{mutation.name:52} {verdict}  ({time.monotonic() - start:.0f} s)", flush=True)
    print(f"{len(mutations) - len(survivors)} of {len(mutations)} mutations were noticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    raise SystemExit(main())
