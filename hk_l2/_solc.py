"""Runs the pinned Solidity compiler (npm `solc`, WebAssembly) on one group of sources. Used by `hk_l2.build` only."""

from __future__ import annotations

import json
import posixpath
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMPILER_VERSION = "0.8.37"
_IMPORT = re.compile(r"""^\s*import\s+(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']\s*;""", re.MULTILINE)
_RUN = """
const solc = require(process.argv[1]);
if (!solc.version().startsWith(process.argv[2] + '+')) {
  throw new Error('expected solc ' + process.argv[2] + ', found ' + solc.version());
}
process.stdout.write(solc.compile(require('fs').readFileSync(0, 'utf8')));
"""


class CompileError(RuntimeError):
    """The sources do not compile, or the compiler is not installed."""


@dataclass(frozen=True)
class Compiled:
    """What solc made of one contract; byte strings as hex without prefix."""

    source_name: str
    contract_name: str
    abi: list[dict[str, Any]]
    bytecode: str
    deployed_bytecode: str


def imports_of(source_name: str, text: str) -> list[str]:
    """Source names that a source imports directly; relative paths resolved."""
    found = []
    for target in _IMPORT.findall(text):
        if target.startswith("."):
            found.append(posixpath.normpath(posixpath.join(posixpath.dirname(source_name), target)))
        else:
            found.append(target)
    return found


def closure(entries: Iterable[str], read: Callable[[str], str]) -> dict[str, str]:
    """The given sources and all they import, directly or not."""
    sources: dict[str, str] = {}
    pending = list(entries)
    while pending:
        name = pending.pop()
        if name not in sources:
            sources[name] = read(name)
            pending += imports_of(name, sources[name])
    return dict(sorted(sources.items()))


def compile_sources(
    node_modules: Path, sources: dict[str, str], entries: list[str], settings: dict[str, Any]
) -> list[Compiled]:
    """Compiles `sources`; code is generated for the contracts of `entries` only."""
    node = shutil.which("node")
    solc = node_modules / "solc"
    if node is None or not solc.is_dir():
        raise CompileError("building contracts needs node and `npm ci` in the repository root")
    wanted = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"]
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources.items()},
        "settings": {**settings, "outputSelection": {name: {"*": wanted} for name in entries}},
    }
    run = subprocess.run(  # noqa: S603 -- fixed program, own input
        [node, "-e", _RUN, str(solc.resolve()), COMPILER_VERSION],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise CompileError(f"solc failed: {run.stderr[-2000:]}")
    answer = json.loads(run.stdout)
    problems = [entry for entry in answer.get("errors", []) if entry["severity"] == "error"]
    if problems:
        raise CompileError("\n".join(entry.get("formattedMessage", entry["message"]) for entry in problems))
    return [
        Compiled(
            source_name=source,
            contract_name=contract,
            abi=output["abi"],
            bytecode=output["evm"]["bytecode"]["object"],
            deployed_bytecode=output["evm"]["deployedBytecode"]["object"],
        )
        for source in entries
        for contract, output in answer.get("contracts", {}).get(source, {}).items()
    ]
