"""Encrypted file of named SM2 keys, the default `Signer` source where there is no HSM.

The file is canonical JSON, mode 0600. Each key is sealed with SM4-GCM under a key that scrypt (RFC 7914) derives from
the passphrase. Name and public key are associated data of each entry, so entries cannot be swapped; the list of all
entries is authenticated too, so none can be removed or added without the passphrase. What this cannot show is that the
whole file was put back to an older state.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from lianqiao_base.errors import Rejected
from mainland_chain.crypto import _keystore_format as file_format
from mainland_chain.crypto import _private_file, sm4
from mainland_chain.crypto._keystore_format import Document, Entry, Kdf
from mainland_chain.crypto.errors import (
    KeyExists,
    KeyNotFound,
    KeystoreChanged,
    KeystoreCorrupted,
    KeystoreExists,
    KeystoreWeakPassphrase,
    OpenFailed,
    WrongPassphrase,
)
from mainland_chain.crypto.sm2 import PrivateKey

# 32 MiB and about 0.1 s for each guess. That protects a stolen backup only together with a random passphrase.
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**15, 8, 1


@dataclass(frozen=True, slots=True)
class _Opened:
    """File contents and what they parse to; replaced as a whole."""

    contents: bytes
    document: Document


def _derive(kdf: Kdf, passphrase: str, subject: str) -> bytes:
    if not passphrase:
        raise KeystoreWeakPassphrase(subject)
    # NFC: the same characters typed on another system must give the same key.
    return hashlib.scrypt(
        unicodedata.normalize("NFC", passphrase).encode(),
        salt=kdf.salt,
        n=kdf.n,
        r=kdf.r,
        p=kdf.p,
        dklen=sm4.KEY_SIZE,
        maxmem=2 * 128 * kdf.r * (kdf.n + kdf.p),
    )


class Keystore:
    """An opened keystore. Holds the derived key in memory; decrypts a private key only when asked. Thread-safe.

    Make one with `create` or `open`. The passphrase is an argument; never take it from the command line, which other
    users of the machine can read.
    """

    __slots__ = ("_key", "_lock", "_opened", "path")

    def __init__(self, path: Path, key: bytes, opened: _Opened) -> None:
        self.path = path
        self._key = key
        self._opened = opened
        self._lock = threading.Lock()

    @classmethod
    def create(cls, path: Path, passphrase: str) -> Keystore:
        """Write a new empty keystore, with its directory (0700) if needed.

        Raises `KeystoreExists`, `KeystoreWeakPassphrase`.
        """
        path = path.resolve()
        kdf = Kdf(n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P, salt=secrets.token_bytes(file_format.SALT_SIZE))
        key = _derive(kdf, passphrase, str(path))
        opened = cls._seal(key, kdf, ())
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _private_file.directory_lock(path.parent):
            if path.exists():
                raise KeystoreExists(str(path))
            _private_file.replace(path, opened.contents)
        return cls(path, key, opened)

    @classmethod
    def open(cls, path: Path, passphrase: str) -> Keystore:
        """Read a keystore and check the passphrase and the list of entries.

        Raises `KeystoreMissing`, `KeystoreUnsafe` (others may read it), `KeystoreCorrupted`, `WrongPassphrase`,
        `KeystoreWeakPassphrase`.
        """
        path = path.resolve()
        contents = _private_file.read(path)
        try:
            document = file_format.parse(contents)
        except Rejected as error:
            raise KeystoreCorrupted(str(path), error.message) from error
        key = _derive(document.kdf, passphrase, str(path))
        try:
            sm4.open_sealed(key, file_format.check_aad(), document.check)
        except OpenFailed:
            raise WrongPassphrase(str(path)) from None
        try:
            sm4.open_sealed(key, file_format.directory_aad(document.entries), document.directory)
        except OpenFailed:
            raise KeystoreCorrupted(str(path), "the list of keys was changed") from None
        return cls(path, key, _Opened(contents, document))

    @staticmethod
    def _seal(key: bytes, kdf: Kdf, entries: tuple[Entry, ...]) -> _Opened:
        document = Document(
            kdf=kdf,
            check=sm4.seal(key, file_format.check_aad(), b""),
            directory=sm4.seal(key, file_format.directory_aad(entries), b""),
            entries=entries,
        )
        return _Opened(file_format.render(document), document)

    def names(self) -> tuple[str, ...]:
        """Names of all keys, sorted."""
        return tuple(entry.name for entry in self._opened.document.entries)

    def _entry(self, name: str) -> Entry:
        for entry in self._opened.document.entries:
            if entry.name == name:
                return entry
        raise KeyNotFound(name)

    def public_key(self, name: str) -> bytes:
        """`X || Y`, 64 bytes; nothing is decrypted. Raises `KeyNotFound`."""
        return self._entry(name).public_key

    def private_key(self, name: str) -> PrivateKey:
        """The key of this name, a `Signer`. Raises `KeyNotFound`, `KeystoreCorrupted`."""
        entry = self._entry(name)
        try:
            key = PrivateKey.from_bytes(sm4.open_sealed(self._key, entry.aad(), entry.sealed))
        except Rejected:
            raise KeystoreCorrupted(f"{self.path}#{name}", "the entry does not open") from None
        if key.public_key != entry.public_key:
            raise KeystoreCorrupted(f"{self.path}#{name}", "the entry holds the key of another public key")
        return key

    def generate(self, name: str) -> PrivateKey:
        """Make, store and return a new key. Raises as `add` does."""
        key = PrivateKey.generate()
        self.add(name, key)
        return key

    def add(self, name: str, key: PrivateKey) -> None:
        """Store `key` under a new name (1 to 64 of `a-z 0-9 . _ -`); it is on disk when this returns.

        Raises `BadKeyName`, `KeyExists`, `KeystoreChanged` (another process wrote the file), and what reading raises.
        """
        file_format.check_name(name)
        with self._lock, _private_file.directory_lock(self.path.parent):
            if _private_file.read(self.path) != self._opened.contents:
                raise KeystoreChanged(str(self.path))
            entries = self._opened.document.entries
            if any(entry.name == name for entry in entries):
                raise KeyExists(name)
            aad = file_format.entry_aad(name, key.public_key)
            entry = Entry(name, key.public_key, sm4.seal(self._key, aad, key.to_bytes()))
            opened = self._seal(
                self._key, self._opened.document.kdf, tuple(sorted((*entries, entry), key=lambda e: e.name))
            )
            _private_file.replace(self.path, opened.contents)
            self._opened = opened

    def __repr__(self) -> str:
        return f"Keystore(path={str(self.path)!r}, keys={len(self.names())})"

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("an opened keystore is not pickled or copied: open its file again")
