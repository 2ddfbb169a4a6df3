"""Builds every contract: `python -m hk_l2.build` writes generated Solidity and artifacts, `--check` only compares.

Sources are compiled in groups, one per folder of `hk_l2/contracts`, so that a change in one folder leaves the bytecode
of the others alone. Nothing here is needed at run time: `hk_l2.artifacts` reads what is checked in.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hk_l2 import _solc
from hk_l2.contracts.generators import outputs

ROOT = Path(__file__).resolve().parent.parent
MAX_CODE_SIZE = 24_576
"""EIP-170."""

_COMMON: dict[str, Any] = {
    "evmVersion": "cancun",
    # No metadata at the end of the code: the bytecode depends on code and settings only.
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
}


def _via_ir(runs: int) -> dict[str, Any]:
    return {**_COMMON, "viaIR": True, "optimizer": {"enabled": True, "runs": runs}}


FOLDERS_BY_GROUP = {"light_client": ("crypto", "light_client")}
"""Folders that are compiled together; every other folder is a group of its own. The light client checks the code hash
of the key registry, so both must come out of one compilation."""

RUNS = {"light_client": 1_000_000}
"""Optimizer runs by group: high where execution dominates, `DEFAULT_RUNS` elsewhere."""
DEFAULT_RUNS = 10_000


@dataclass(frozen=True)
class Group:
    """Sources that are compiled together."""

    name: str
    entries: tuple[str, ...]
    settings: dict[str, Any]
    output: str
    """Folder of the artifacts, below the repository root."""


class Builder:
    """One build of one source tree. Results are texts by path below the root; writing them is the caller's choice."""

    def __init__(self, root: Path = ROOT, node_modules: Path | None = None) -> None:
        self.root = root
        self.node_modules = node_modules or root / "node_modules"
        self.generated: dict[str, str] = {}

    def read(self, name: str) -> str:
        """Text of a source: generated in this build, in the tree, or of a pinned npm package."""
        if name in self.generated:
            return self.generated[name]
        if name.startswith("@"):
            return (self.node_modules / name).read_text(encoding="utf-8")
        return (self.root / name).read_text(encoding="utf-8")

    def groups(self) -> Iterator[Group]:
        """All groups, in order of their names."""
        contracts = self.root / "hk_l2" / "contracts"
        group_of = {folder: group for group, folders in FOLDERS_BY_GROUP.items() for folder in folders}
        entries: dict[str, list[str]] = {}
        for folder in sorted(path for path in contracts.iterdir() if path.is_dir()):
            entries.setdefault(group_of.get(folder.name, folder.name), []).extend(self._sources(folder))
        for name, sources in sorted(entries.items()):
            if sources:
                yield Group(name, tuple(sources), _via_ir(RUNS.get(name, DEFAULT_RUNS)), "hk_l2/abi")
        harness = self._sources(self.root / "tests" / "contracts" / "solidity")
        if harness:
            yield Group("tests", tuple(harness), _via_ir(DEFAULT_RUNS), "tests/contracts/abi")

    def _sources(self, folder: Path) -> list[str]:
        present = {path.relative_to(self.root).as_posix() for path in folder.rglob("*.sol")}
        below = folder.relative_to(self.root).as_posix() + "/"
        return sorted(present | {name for name in self.generated if name.startswith(below)})

    def build(self, only: set[str] | None = None) -> dict[str, str]:
        """Generates and compiles; `only` limits compilation to some groups (generated sources are always included)."""
        self.generated = outputs.solidity()
        results = dict(self.generated)
        for raw in outputs.raw_contracts():
            compiled = _solc.Compiled(raw.source_name, raw.name, [], raw.creation_code.hex(), raw.runtime_code.hex())
            self._add(results, "tests/contracts/abi" if raw.for_tests else "hk_l2/abi", compiled, None)
        for group in self.groups():
            if only is None or group.name in only:
                for compiled in self._compile(group.entries, group.settings):
                    self._add(results, group.output, compiled, group.settings)
        return results

    def _add(
        self, results: dict[str, str], folder: str, compiled: _solc.Compiled, settings: dict[str, Any] | None
    ) -> None:
        path = f"{folder}/{compiled.contract_name}.json"
        if path in results:
            raise _solc.CompileError(f"two contracts are called {compiled.contract_name}")
        size = len(compiled.deployed_bytecode) // 2
        if size > MAX_CODE_SIZE:
            raise _solc.CompileError(f"{compiled.contract_name}: {size} bytes of code, the limit is {MAX_CODE_SIZE}")
        results[path] = self._artifact(compiled, settings)

    def _compile(self, entries: tuple[str, ...], settings: dict[str, Any]) -> list[_solc.Compiled]:
        sources = _solc.closure(entries, self.read)
        found = _solc.compile_sources(self.node_modules, sources, list(entries), settings)
        # Interfaces and abstract contracts have no bytecode; libraries of internal functions have nothing to call.
        return [
            compiled
            for compiled in found
            if compiled.bytecode and any(entry["type"] not in ("error", "event") for entry in compiled.abi)
        ]

    def _artifact(self, compiled: _solc.Compiled, settings: dict[str, Any] | None) -> str:
        if settings is None:
            compiler: dict[str, Any] = {"name": compiled.source_name}
            sources = {"deployedBytecode": compiled.deployed_bytecode}
        else:
            compiler = {"name": "solc", "version": _solc.COMPILER_VERSION, "settings": settings}
            sources = _solc.closure([compiled.source_name], self.read)
        hashed = json.dumps({"compiler": compiler, "sources": sources}, sort_keys=True).encode()
        document = {
            "contractName": compiled.contract_name,
            "sourceName": compiled.source_name,
            "abi": compiled.abi,
            "bytecode": "0x" + compiled.bytecode,
            "deployedBytecode": "0x" + compiled.deployed_bytecode,
            "sourceHash": "sha256:" + hashlib.sha256(hashed).hexdigest(),
            "compiler": compiler,
        }
        return json.dumps(document, indent=1, ensure_ascii=True) + "\n"

    def stale(self, results: dict[str, str]) -> list[str]:
        """Artifacts in the tree that this (complete) build did not make."""
        folders = (self.root / "hk_l2" / "abi", self.root / "tests" / "contracts" / "abi")
        present = {path.relative_to(self.root).as_posix() for folder in folders for path in folder.glob("*.json")}
        return sorted(present - results.keys())


def differences(root: Path, results: dict[str, str]) -> list[str]:
    """One line per file of the tree that is not as built."""
    lines = []
    for name, text in sorted(results.items()):
        path = root / name
        if not path.is_file():
            lines.append(f"missing   {name}")
        elif path.read_text(encoding="utf-8") != text:
            lines.append(f"different {name}{_detail(path.read_text(encoding='utf-8'), text)}")
    return lines


def _detail(old: str, new: str) -> str:
    try:
        before, after = json.loads(old), json.loads(new)
    except ValueError:
        return ""
    keys = [key for key in after if before.get(key) != after[key]]
    return f": {', '.join(keys)}" if keys else ": formatting"


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m hk_l2.build", description="Builds every contract.")
    parser.add_argument("--check", action="store_true", help="compare with the checked-in files, write nothing")
    parser.add_argument("--only", action="append", metavar="GROUP", help="compile only this group (repeatable)")
    options = parser.parse_args(arguments)
    builder = Builder()
    only = set(options.only) if options.only else None
    try:
        results = builder.build(only)
    except _solc.CompileError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    lines = differences(builder.root, results)
    extra = builder.stale(results) if only is None else []
    lines += [f"stale     {name}" for name in extra]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    if options.check:
        sys.stdout.write("artifacts differ: run `python -m hk_l2.build`\n" if lines else "artifacts are up to date\n")
        return 1 if lines else 0
    for name, text in results.items():
        path = builder.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for name in extra:
        (builder.root / name).unlink()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
