"""Passphrases come from files that only their owner may read: never from argv, never from the configuration itself."""

from __future__ import annotations

from pathlib import Path

from lianqiao_base.errors import Fatal

PASSPHRASE_FILE_VARIABLE = "LIANQIAO_PASSPHRASE_FILE"  # noqa: S105 - the name of a path, not a secret


def read_passphrase(path: Path) -> str:
    """The first line of a file that only its owner may read. Raises `Fatal("PASSPHRASE_FILE")`."""
    try:
        if path.stat().st_mode & 0o077:
            raise Fatal("PASSPHRASE_FILE", "others than the owner may read it", subject=str(path), hint="chmod 600 it")
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise Fatal(
            "PASSPHRASE_FILE",
            f"{error.strerror}",
            subject=str(path),
            hint=f"set the configuration's passphrase_file, or {PASSPHRASE_FILE_VARIABLE} where it is read",
        ) from error
    except UnicodeDecodeError as error:
        raise Fatal("PASSPHRASE_FILE", "it is not UTF-8 text", subject=str(path)) from error
    if not lines or not lines[0]:
        raise Fatal("PASSPHRASE_FILE", "it is empty", subject=str(path))
    return lines[0]
