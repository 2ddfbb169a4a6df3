"""Canonical JSON: one form, no floats, no deep nesting."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lianqiao_base import canonical
from lianqiao_base.errors import Rejected

SAFE = st.integers(-canonical.MAX_SAFE_INTEGER, canonical.MAX_SAFE_INTEGER)
VALUES = st.recursive(
    st.none() | st.booleans() | SAFE | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_round_trip(value: canonical.Json) -> None:
    data = canonical.dumps(value)
    assert canonical.loads_strict(data) == value
    assert canonical.dumps(canonical.loads_strict(data)) == data


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b"1.0",
        b"1e3",
        b"-0",
        b"NaN",
        b'"\\u0041"',
        b"9007199254740992",
        b"[1,]",
        b"",
    ],
)
def test_other_spellings_are_refused(data: bytes) -> None:
    with pytest.raises(Rejected):
        canonical.loads_strict(data)


@pytest.mark.parametrize("value", [1.5, b"bytes", {1: "a"}, 2**53, -(2**53), object()])
def test_what_is_not_canonical_is_refused(value: object) -> None:
    with pytest.raises(Rejected):
        canonical.dumps(value)  # type: ignore[arg-type]


@pytest.fixture
def high_recursion_limit() -> Iterator[None]:
    """As py-evm sets it: Python's own guard against deep nesting is then no guard for the C stack."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(200_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("high_recursion_limit")
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_nesting_is_refused_before_it_is_parsed(opening: bytes) -> None:
    with pytest.raises(Rejected, match="nested deeper"):
        canonical.loads_strict(opening * 100_000)
    with pytest.raises(Rejected, match="nested deeper"):
        canonical.loads_strict(b"[" * 65 + b"]" * 65)
    assert canonical.loads_strict(b"[" * 64 + b"]" * 64)


def test_brackets_inside_strings_do_not_count() -> None:
    text = "[" * 500 + '\\"{' * 100
    assert canonical.loads_strict(canonical.dumps({"a": text})) == {"a": text}
