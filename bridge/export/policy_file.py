"""The export policy as a file: canonical JSON, exactly as the ledger keeps it. It holds pseudonym keys, so only its owner may read it."""

from __future__ import annotations

import os
from pathlib import Path

from lianqiao_base import canonical
from lianqiao_base.errors import Fatal, Rejected
from mainland_chain.export.policy import ExportPolicy, check_policy
from mainland_chain.state.codec import from_json, to_json


def encode_policy(policy: ExportPolicy) -> bytes:
    """Canonical JSON."""
    return canonical.dumps(to_json(policy))


def decode_policy(data: bytes) -> ExportPolicy:
    """Raises `Rejected` with NOT_CANONICAL, POLICY_FILE, or a code of `check_policy`."""
    value = canonical.loads_strict(data)
    try:
        policy: ExportPolicy = from_json(ExportPolicy, value)
        check_policy(policy)
        same = encode_policy(policy) == data
        numbers = [policy.version, policy.effective_from_ms, policy.effective_to_ms]
        numbers += [d.l2_chain_id for d in policy.destinations] + [r.parameter for r in policy.rules]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # Without the text: it may hold a key.
        raise Rejected("POLICY_FILE", f"not an export policy ({type(error).__name__})") from None
    if not same or any(type(n) is not int or n < 0 for n in numbers):
        raise Rejected("POLICY_FILE", "not an export policy")
    return policy


def load_policy(path: Path) -> ExportPolicy:
    """Raises `Fatal("POLICY_FILE_MODE")` when others may read it, and like `decode_policy`."""
    try:
        if path.stat().st_mode & 0o077:
            raise Fatal(
                "POLICY_FILE_MODE", "others than the owner may read it", subject=str(path), hint="chmod 600 the file"
            )
        data = path.read_bytes()
    except OSError as error:
        raise Rejected("POLICY_FILE", error.strerror or "cannot be read", subject=str(path)) from error
    try:
        return decode_policy(data.removesuffix(b"\n"))
    except Rejected as error:
        raise Rejected(error.code, error.message, subject=str(path), hint=error.hint) from error


def write_policy(path: Path, policy: ExportPolicy) -> None:
    """A new file, mode 0600 from its first moment. Raises `Rejected("FILE_EXISTS")`."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Rejected("FILE_EXISTS", "it is there already", subject=str(path), hint="choose another path") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(encode_policy(policy) + b"\n")
