"""Looks for a value in bytes, in every spelling in which it could hide."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator

from mainland_chain.crypto.keccak import keccak256
from mainland_chain.crypto.sm3 import sm3


def spellings(value: str | int | bytes) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of the value in text encodings, hex, base64 at every alignment, integers, and bare digests."""
    if isinstance(value, int):
        yield from ((f"{n}-byte integer", value.to_bytes(n, "big")) for n in (8, 32))
        yield "little-endian integer", value.to_bytes(8, "little")
        value = str(value)
    if isinstance(value, bytes):
        raws = [("bytes", value)]
    else:
        raws = [(e, value.encode(e)) for e in ("utf-8", "utf-16-le", "utf-16-be", "gb18030")]
        raws.append(("reversed", value[::-1].encode()))
        if not value.isascii():
            raws.append(("unicode escape", value.encode("unicode_escape")))
    for name, raw in raws:
        yield name, raw
        yield f"hex of {name}", raw.hex().encode()
        yield f"HEX of {name}", raw.hex().upper().encode()
        for shift in range(3):
            coded = base64.b64encode(b"\x00" * shift + raw)
            # Only the characters that do not depend on what stands before and after.
            inner = coded[4 if shift else 0 : len(coded) // 4 * 4 - 4]
            if len(inner) >= 8:
                yield f"base64 of {name}, alignment {shift}", inner
                yield f"base64url of {name}, alignment {shift}", inner.replace(b"+", b"-").replace(b"/", b"_")
        for digest in (lambda b: hashlib.sha256(b).digest(), sm3, keccak256):
            yield f"bare digest of {name}", digest(raw)


def find_leaks(haystacks: Iterable[tuple[str, bytes]], values: Iterable[tuple[str, str | int | bytes]]) -> list[str]:
    """What of `values` (name, value) occurs where, and how."""
    needles = [(name, how, raw) for name, value in values for how, raw in spellings(value) if len(raw) >= 5]
    return [f"{name} as {how} in {where}" for where, data in haystacks for name, how, raw in needles if raw in data]
