"""SM3 (GB/T 32905-2016), HMAC-SM3 (GB/T 15852.2) and the domain-separation tags made from it.

Short inputs, which is what Merkle nodes and signed messages are, go to the one-call function of gmssl-pyx where
that is installed: it has the smallest call overhead. Long inputs go to `hashlib`, which releases the GIL. A Python
whose OpenSSL has no SM3 uses `cryptography` instead. Every choice must first reproduce the examples of the standard.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from functools import lru_cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import hmac as cryptography_hmac

from mainland_chain.crypto import _vectors
from mainland_chain.crypto.errors import SelfTestFailed

DIGEST_SIZE = 32
# hashlib releases the GIL from 2048 bytes on; below that only the cost of the call matters.
_LONG = 2048

Hash = Callable[[bytes], bytes]


def _hashlib_sm3() -> Hash | None:
    try:
        prototype = hashlib.new("sm3")
    except ValueError:
        return None

    def digest(data: bytes) -> bytes:
        state = prototype.copy()  # cheaper than a lookup by name for every call
        state.update(data)
        return state.digest()

    return digest


def _cryptography_sm3() -> Hash:
    prototype = hashes.Hash(hashes.SM3())

    def digest(data: bytes) -> bytes:
        state = prototype.copy()
        state.update(data)
        return state.finalize()

    return digest


def _gmssl_sm3() -> Hash | None:
    try:
        import gmssl_pyx
    except ImportError:  # not published for this platform
        return None
    function: Hash = gmssl_pyx.sm3_hash
    return function


def _checked(name: str, function: Hash) -> Hash:
    for vector in _vectors.SM3:
        if function(vector.message) != vector.digest:
            raise SelfTestFailed(name, vector.source)
    return function


def _choose() -> tuple[Hash, Hash, str, str]:
    """(function for short input, function for long input, their names); every one passed the vectors."""
    system = _hashlib_sm3()
    long, long_name = (system, "hashlib") if system else (_cryptography_sm3(), "cryptography")
    short = _gmssl_sm3()
    if short is None:
        checked = _checked(long_name, long)
        return checked, checked, long_name, long_name
    return _checked("gmssl-pyx", short), _checked(long_name, long), "gmssl-pyx", long_name


_short, _long, SHORT_IMPLEMENTATION, LONG_IMPLEMENTATION = _choose()


def sm3(data: bytes) -> bytes:
    """SM3 of `data`: 32 bytes (GB/T 32905-2016)."""
    return _short(data) if len(data) < _LONG else _long(data)


def _hmac_by_cryptography(key: bytes, data: bytes) -> bytes:
    state = cryptography_hmac.HMAC(key, hashes.SM3())
    state.update(data)
    return state.finalize()


def hmac_sm3(key: bytes, data: bytes) -> bytes:
    """HMAC-SM3 of `data` under `key` of any length: 32 bytes (RFC 2104 with SM3, block 64 bytes; GB/T 15852.2)."""
    if LONG_IMPLEMENTATION == "hashlib":
        return hmac.digest(key, data, "sm3")
    return _hmac_by_cryptography(key, data)


@lru_cache(maxsize=256)
def tag(name: str) -> bytes:
    """Domain separator `SM3(ascii(name))`, 32 bytes (docs/protocol.md §1). Non-ASCII: `UnicodeEncodeError`."""
    return sm3(name.encode("ascii"))
