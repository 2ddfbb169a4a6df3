"""Client-side sealing of fields of grade high: the ledger never sees the value or its salt."""

from __future__ import annotations

import secrets

from lianqiao_base.errors import Rejected
from mainland_chain.crypto import sm4
from mainland_chain.crypto.sm3 import tag
from mainland_chain.records.record import SealedField, Value, decode_value, encode_value, field_leaf


def _associated_data(name: str) -> bytes:
    raw = name.encode()
    return tag("lianqiao.sealed.v1") + len(raw).to_bytes(2, "big") + raw


def seal_field(key: bytes, name: str, value: Value) -> SealedField:
    """Seal `value` under the client's 16-byte SM4 key with a fresh random salt."""
    salt = secrets.token_bytes(32)
    encoded = encode_value(value)
    return SealedField(name, field_leaf(salt, name, encoded), sm4.seal(key, _associated_data(name), salt + encoded))


def open_field(key: bytes, field: SealedField) -> tuple[Value, bytes]:
    """(value, salt) of a sealed field. Raises `Rejected` when the key is wrong, the ciphertext changed, or the leaf does not match."""
    blob = sm4.open_sealed(key, _associated_data(field.name), field.ciphertext)
    salt, encoded = blob[:32], blob[32:]
    if field_leaf(salt, field.name, encoded) != field.leaf:
        raise Rejected("LEAF_MISMATCH", "the sealed value is not the one the leaf commits to", subject=field.name)
    return decode_value(encoded), salt
