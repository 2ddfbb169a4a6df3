"""Small secret files (POSIX): readable by their owner only, replaced whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from mainland_chain.crypto.errors import KeystoreCorrupted, KeystoreMissing, KeystoreUnsafe

MAX_BYTES = 1 << 20


def read(path: Path) -> bytes:
    """Contents of a regular file that only its owner, who is us, can access.

    Raises `KeystoreMissing`, `KeystoreUnsafe`, and `KeystoreCorrupted` for more than 1 MiB.
    """
    try:
        # O_NONBLOCK: opening a FIFO in its place must not hang. All checks are on the open file, not on the path.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise KeystoreMissing(str(path)) from None
    except PermissionError:
        raise KeystoreUnsafe(str(path), "this user may not read the file") from None
    try:
        _check_status(path, os.fstat(descriptor))
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > MAX_BYTES:
        raise KeystoreCorrupted(str(path), "the file is too large")
    return data


def _check_status(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeystoreUnsafe(str(path), "not a regular file")
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise KeystoreUnsafe(str(path), f"mode {mode:04o} lets group or others in; it must be 0600 or stricter")
    if status.st_uid != os.geteuid():
        raise KeystoreUnsafe(str(path), "the file belongs to another user")


def replace(path: Path, data: bytes) -> None:
    """Put `data` at `path` with mode 0600: after a crash either the old or the new contents are there, on disk."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)  # whatever the umask
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)  # else the rename itself may be lost
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def directory_lock(directory: Path) -> Iterator[None]:
    """Hold the advisory lock of `directory` against others that change files in it by `replace`."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # releases the lock
