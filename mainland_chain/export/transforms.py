"""The transforms of an export policy: pure functions from a stored value to the text that leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lianqiao_base.errors import Rejected
from mainland_chain.crypto.sm3 import hmac_sm3
from mainland_chain.export.policy import FieldRule
from mainland_chain.light.claims import Transform
from mainland_chain.records.record import Value
from mainland_chain.records.schemas import FieldType, schema


def pseudonym(key: bytes, kind: str, value: str) -> bytes:
    """`HMAC-SM3(key, kind ‖ 0x00 ‖ value)`, 32 bytes: one name per destination, not linkable between destinations."""
    return hmac_sm3(key, kind.encode() + b"\x00" + value.encode())


def as_text(value: Value) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def transform_value(rule: FieldRule, value: Value, pseudonym_key: bytes) -> str:
    """The text of one field after its rule. Raises `Rejected("FIELD_NOT_ALLOWED")` for interval transforms on a single value."""
    match rule.transform:
        case Transform.KEEP:
            return as_text(value)
        case Transform.PSEUDONYM:
            return pseudonym(pseudonym_key, f"{rule.record_type}.{rule.field}", as_text(value)).hex()
        case Transform.REGION:
            return as_text(value)[:2]
        case Transform.ROUND if isinstance(value, int):
            return str(value - value % rule.parameter)
        case Transform.ROUND if schema(rule.record_type).field(rule.field).type is FieldType.DATE:
            return as_text(value)[:4]
        case Transform.BUCKET if isinstance(value, int):
            low = value - value % rule.parameter
            return f"{low}-{low + rule.parameter - 1}"
    raise Rejected("FIELD_NOT_ALLOWED", f"{rule.transform.name} does not apply here", subject=rule.field)


_AGGREGATES: dict[Transform, Callable[[Sequence[int]], int]] = {
    Transform.SUM: sum,
    Transform.COUNT: len,
    Transform.MIN: min,
    Transform.MAX: max,
}


def aggregate(rule: FieldRule, values: Sequence[int]) -> int:
    """Sum, count, minimum or maximum over an interval. Raises `Rejected`: FIELD_NOT_ALLOWED for other transforms,
    INTERVAL_TOO_SMALL for fewer readings than the rule asks for."""
    function = _AGGREGATES.get(rule.transform)
    if function is None or not values:
        raise Rejected("FIELD_NOT_ALLOWED", f"{rule.transform.name} is not an interval transform", subject=rule.field)
    if len(values) < rule.parameter:
        raise Rejected(
            "INTERVAL_TOO_SMALL",
            f"{len(values)} readings, the policy asks for at least {rule.parameter}",
            subject=rule.field,
            hint="export a longer interval",
        )
    return function(values)
