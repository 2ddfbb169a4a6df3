"""`lianqiao verify`: reads a bundle file, runs the checklist, and optionally asks a node. Prints nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eth_utils.address import to_checksum_address

from bridge.bundle import model
from bridge.bundle.verify import CheckResult, Options, verify
from lianqiao_base.errors import LianqiaoError, NotFound

ONLINE_TITLE = "a node of the L2 has this block and allowed these compliance signers"


@dataclass(frozen=True, slots=True)
class Report:
    """The checklist of one bundle."""

    results: tuple[CheckResult, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed. Points that nobody gave the means to check are no failures, but are named."""
        return all(result.ok is not False for result in self.results)

    @property
    def failure(self) -> CheckResult | None:
        """The first failure."""
        return next((result for result in self.results if result.ok is False), None)

    @property
    def unshown(self) -> tuple[CheckResult, ...]:
        """What was not checked for want of a trusted value."""
        return tuple(result for result in self.results if result.ok is None)

    def lines(self) -> list[str]:
        """The checklist in words, and the verdict."""
        marks = {True: "ok", False: "FAILED", None: "not shown"}
        out = [f"{r.number:>2}. {marks[r.ok]:<9} {r.title}\n               {r.detail}" for r in self.results]
        if self.failure is not None:
            out.append(f"The bundle does not hold: check {self.failure.number} failed ({self.failure.title}).")
        elif self.unshown:
            numbers = ", ".join(str(r.number) for r in self.unshown)
            out.append(f"Everything that can be shown offline holds. Not shown: {numbers}; see there what is needed.")
        else:
            out.append("Everything holds.")
        return out


def verify_file(
    path: Path, *, genesis_hash: bytes | None = None, l2_block_hash: bytes | None = None, l2_url: str | None = None
) -> Report:
    """Verify a bundle file. Without `l2_url` nothing leaves this machine. Raises `NotFound` when there is no such file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NotFound("BUNDLE_NOT_FOUND", error.strerror or "cannot be read", subject=str(path)) from error
    return verify_bytes(data, genesis_hash=genesis_hash, l2_block_hash=l2_block_hash, l2_url=l2_url)


def verify_bytes(
    data: bytes, *, genesis_hash: bytes | None = None, l2_block_hash: bytes | None = None, l2_url: str | None = None
) -> Report:
    """Verify a bundle."""
    results = verify(data, Options(genesis_hash, l2_block_hash))
    if l2_url is not None and all(result.ok is not False for result in results):
        results.append(_online(data, l2_url, len(results) + 1))
    return Report(tuple(results))


def _online(data: bytes, url: str, number: int) -> CheckResult:
    from bridge.bundle.online import ask_node

    l2 = model.from_json(model.parse(data)).l2
    try:
        detail = ask_node(l2, url)
    except LianqiaoError as error:
        return CheckResult(number, ONLINE_TITLE, False, f"{error.code}: {error.message}")
    signers = ", ".join(to_checksum_address(s) for s in l2.allowed_signers)
    return CheckResult(number, ONLINE_TITLE, True, f"{detail}; signers {signers}")
