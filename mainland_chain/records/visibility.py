"""What a member may see of a record: low plain, medium masked for all but the owner and regulators, high only as a leaf."""

from __future__ import annotations

from dataclasses import dataclass

from mainland_chain.records.reading import PREFIX
from mainland_chain.records.record import PlainField, Record, decode_value, derive_salt
from mainland_chain.records.schemas import Grade, schema


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field as a caller may see it. `salt` and `encoded_value` only with the full value; `ciphertext` only for the owner."""

    name: str
    grade: str
    value: str
    masked: bool
    leaf: bytes
    salt: bytes
    encoded_value: bytes
    ciphertext: bytes


def mask(text: str) -> str:
    """At most the first third, and never more than three characters, then asterisks."""
    return text[: min(3, len(text) // 3)] + "***"


def view_fields(record: Record, *, owner: bool, regulator: bool) -> list[FieldView]:
    """The fields of `record` in leaf order, for a caller with these rights."""
    rules = schema(record.record_type)
    views = []
    for item, leaf in zip(record.fields, record.leaves, strict=True):
        if not isinstance(item, PlainField):
            ciphertext = item.ciphertext if owner else b""
            views.append(FieldView(item.name, Grade.HIGH.value, "", True, leaf, b"", b"", ciphertext))
            continue
        grade = Grade.LOW if item.name.startswith(PREFIX) else rules.field(item.name).grade
        value = decode_value(item.value)
        text = value.hex() if isinstance(value, bytes) else str(value)
        if grade is Grade.MEDIUM and not (owner or regulator):
            views.append(FieldView(item.name, grade.value, mask(text), True, leaf, b"", b"", b""))
        else:
            salt = derive_salt(record.seed, item.name)
            views.append(FieldView(item.name, grade.value, text, False, leaf, salt, item.value, b""))
    return views
