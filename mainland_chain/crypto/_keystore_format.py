"""The keystore file: canonical JSON to typed values and back, strictly. Nothing here decrypts.

{"check": hex, "directory": hex, "format": "lianqiao-keystore", "kdf": {"n", "name": "scrypt", "p", "r", "salt"},
 "keys": [{"name", "public_key", "sealed"}, ...] sorted by name, "version": 1}
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lianqiao_base import canonical
from lianqiao_base.canonical import Json
from lianqiao_base.errors import Rejected
from mainland_chain.crypto import sm2, sm3, sm4
from mainland_chain.crypto.errors import BadKeyName

FORMAT, VERSION = "lianqiao-keystore", 1
SALT_SIZE = 32
# Bounds on what a file may ask for: at least what we write, at most 256 MiB of memory, so that a planted file
# cannot exhaust the machine before its passphrase is even checked.
MIN_N, MAX_N = 2**15, 2**18
R, MAX_P = 8, 4

_NAME = re.compile(r"[a-z0-9._-]{1,64}")


def _malformed(message: str) -> Rejected:
    return Rejected("KEYSTORE_FORMAT", message)


def check_name(name: str) -> None:
    """Raises `BadKeyName` unless the name is 1 to 64 of `a-z 0-9 . _ -`."""
    if not _NAME.fullmatch(name):
        raise BadKeyName(name)


@dataclass(frozen=True, slots=True)
class Kdf:
    """scrypt parameters (RFC 7914 §2) within the bounds above."""

    n: int
    r: int
    p: int
    salt: bytes

    def __post_init__(self) -> None:
        if not MIN_N <= self.n <= MAX_N or self.n & (self.n - 1):
            raise _malformed("scrypt n is out of bounds")
        if self.r != R:
            raise _malformed("scrypt r is out of bounds")
        if not 1 <= self.p <= MAX_P:
            raise _malformed("scrypt p is out of bounds")
        if len(self.salt) != SALT_SIZE:
            raise _malformed("the salt has another length")

    def to_json(self) -> dict[str, Json]:
        return {"n": self.n, "name": "scrypt", "p": self.p, "r": self.r, "salt": self.salt.hex()}


@dataclass(frozen=True, slots=True)
class Entry:
    """One sealed key."""

    name: str
    public_key: bytes
    sealed: bytes
    """SM4-GCM of the 32 secret bytes."""

    def aad(self) -> bytes:
        return entry_aad(self.name, self.public_key)


@dataclass(frozen=True, slots=True)
class Document:
    """Everything in the file."""

    kdf: Kdf
    check: bytes
    """Seal of nothing: it opens exactly with the right passphrase."""
    directory: bytes
    """Seal of nothing over the list of entries."""
    entries: tuple[Entry, ...]


def check_aad() -> bytes:
    """What the passphrase check authenticates: its purpose. Other scrypt parameters give another key already."""
    return sm3.tag("lianqiao.keystore.check.v1")


def directory_aad(entries: tuple[Entry, ...]) -> bytes:
    """What keeps entries from being removed, added or replaced: names, public keys and sealed bytes in order."""
    listed = [_entry_json(entry) for entry in entries]
    return sm3.tag("lianqiao.keystore.directory.v1") + canonical.dumps(listed)


def entry_aad(name: str, public_key: bytes) -> bytes:
    """Associated data of one sealed key: its name and public key."""
    encoded = name.encode("ascii")
    return sm3.tag("lianqiao.keystore.key.v1") + len(encoded).to_bytes(2, "big") + encoded + public_key


def _entry_json(entry: Entry) -> dict[str, Json]:
    return {"name": entry.name, "public_key": entry.public_key.hex(), "sealed": entry.sealed.hex()}


def render(document: Document) -> bytes:
    """Canonical JSON of the file."""
    return canonical.dumps(
        {
            "check": document.check.hex(),
            "directory": document.directory.hex(),
            "format": FORMAT,
            "kdf": document.kdf.to_json(),
            "keys": [_entry_json(entry) for entry in document.entries],
            "version": VERSION,
        }
    )


def _object(value: Json, keys: set[str]) -> Mapping[str, Json]:
    if not isinstance(value, Mapping) or set(value) != keys:
        raise _malformed("an object has other members than expected")
    return value


def _integer(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _malformed("an integer was expected")
    return value


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise _malformed("a string was expected")
    return value


def _bytes(value: Json, size: int) -> bytes:
    text = _text(value)
    if not re.fullmatch(f"[0-9a-f]{{{2 * size}}}", text):
        raise _malformed(f"{size} bytes in lower-case hex were expected")
    return bytes.fromhex(text)


def _entry(value: Json) -> Entry:
    members = _object(value, {"name", "public_key", "sealed"})
    name, public_key = _text(members["name"]), _bytes(members["public_key"], sm2.PUBLIC_KEY_SIZE)
    check_name(name)
    if not sm2.public_key_is_valid(public_key):
        raise _malformed("a public key is not on the curve")
    return Entry(name, public_key, _bytes(members["sealed"], sm2.PRIVATE_KEY_SIZE + sm4.OVERHEAD))


def parse(data: bytes) -> Document:
    """Typed contents of a keystore file. Raises `Rejected` for anything that `render` would not have written."""
    top = _object(canonical.loads_strict(data), {"check", "directory", "format", "kdf", "keys", "version"})
    if top["format"] != FORMAT or _integer(top["version"]) != VERSION:
        raise _malformed("not a keystore of a known version")
    kdf = _object(top["kdf"], {"n", "name", "p", "r", "salt"})
    if kdf["name"] != "scrypt":
        raise _malformed("an unknown key derivation")
    keys = top["keys"]
    if not isinstance(keys, list):
        raise _malformed("an array was expected")
    entries = tuple(_entry(value) for value in keys)
    names = [entry.name for entry in entries]
    if any(left >= right for left, right in itertools.pairwise(names)):
        raise _malformed("names are not sorted and distinct")
    return Document(
        kdf=Kdf(_integer(kdf["n"]), _integer(kdf["r"]), _integer(kdf["p"]), _bytes(kdf["salt"], SALT_SIZE)),
        check=_bytes(top["check"], sm4.OVERHEAD),
        directory=_bytes(top["directory"], sm4.OVERHEAD),
        entries=entries,
    )
