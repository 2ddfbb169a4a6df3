"""State entities as canonical JSON and back. One form only, because every validator must hash the same bytes."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from enum import Enum
from typing import Any, TypeVar

from lianqiao_base import canonical
from lianqiao_base.errors import Fatal

T = TypeVar("T")


def to_json(value: Any) -> canonical.Json:
    """bytes become hex, enums their name, tuples arrays, dataclasses objects."""
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [to_json(v) for v in value]
    if dataclasses.is_dataclass(value):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} cannot be state")


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def from_json(kind: Any, value: Any) -> Any:
    """Inverse of `to_json` for a type built of the same parts."""
    origin = typing.get_origin(kind)
    if origin is tuple:
        return tuple(from_json(typing.get_args(kind)[0], v) for v in value)
    if origin is types.UnionType:
        inner = next(a for a in typing.get_args(kind) if a is not type(None))
        return None if value is None else from_json(inner, value)
    if kind is bytes:
        return bytes.fromhex(value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind[value]
    if dataclasses.is_dataclass(kind):
        hints = _hints(typing.cast("type", kind))
        return typing.cast("Any", kind)(**{name: from_json(hints[name], item) for name, item in value.items()})
    return value


def encode(entity: Any) -> bytes:
    return canonical.dumps(to_json(entity))


def decode(kind: type[T], data: bytes) -> T:
    """Raises `Fatal("STATE_CORRUPT")`: what is in the state was written by `encode`."""
    try:
        return typing.cast("T", from_json(kind, canonical.loads_strict(data)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Fatal("STATE_CORRUPT", f"a stored {kind.__name__} cannot be read", hint="restore the store") from error
