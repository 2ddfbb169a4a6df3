"""Canonical JSON (RFC 8785) restricted to what hashes the same everywhere: no floats, bytes as lower-case hex."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import cast

import rfc8785

from lianqiao_base.errors import Rejected

Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]
MAX_SAFE_INTEGER = 2**53 - 1
MAX_DEPTH = 64
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS = bytes(b for b in range(256) if b not in b"[]{}")


def _check(value: object, path: str) -> None:
    if value is None or isinstance(value, bool | str):
        return
    if isinstance(value, int):
        if abs(value) > MAX_SAFE_INTEGER:
            raise Rejected("NOT_CANONICAL", f"integer beyond 2^53-1 at {path}", hint="send it as a decimal string")
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise Rejected("NOT_CANONICAL", f"object key that is not a string at {path}")
            _check(item, f"{path}.{key}")
        return
    if isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _check(item, f"{path}[{i}]")
        return
    raise Rejected(
        "NOT_CANONICAL",
        f"{type(value).__name__} at {path}",
        hint="only strings, booleans, null, integers, arrays and objects are canonical",
    )


def dumps(value: Json) -> bytes:
    """Canonical UTF-8 bytes of `value`. Raises `Rejected("NOT_CANONICAL")` for anything outside the subset."""
    _check(value, "$")
    return rfc8785.dumps(value)


def _depth(data: bytes) -> int:
    """Deepest nesting of arrays and objects; strings are blanked first, so that brackets inside them do not count."""
    deepest = depth = 0
    for bracket in _STRING.sub(b"", data).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def loads_strict(data: bytes) -> Json:
    """Parse, and refuse bytes that are not themselves canonical (duplicate keys, spaces, other number forms).

    The nesting is bounded before the parser sees the bytes: libraries that raise Python's recursion limit would otherwise let a
    deeply nested document overflow the C stack.
    """
    if _depth(data) > MAX_DEPTH:
        raise Rejected("NOT_CANONICAL", f"nested deeper than {MAX_DEPTH} levels")
    try:
        value = cast("Json", json.loads(data))
        again = dumps(value)
    except (ValueError, RecursionError) as error:  # the second of text that is no Unicode, or nested too deeply
        raise Rejected("NOT_CANONICAL", "not JSON") from error
    if again != data:
        raise Rejected("NOT_CANONICAL", "the bytes are not the canonical form of their value (RFC 8785)")
    return value
