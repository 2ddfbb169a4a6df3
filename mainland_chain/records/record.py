"""A record: named values as salted leaves under one SM3 root (docs/protocol.md §2)."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from lianqiao_base.errors import Rejected
from mainland_chain.crypto.sm3 import sm3
from mainland_chain.log.hashing import SM3
from mainland_chain.log.tree import merkle_path, merkle_root

INTEGER, TEXT, BYTES = b"\x01", b"\x02", b"\x03"
MAX_FIELDS = 4096
MAX_VALUE_BYTES = 4096
Value = int | str | bytes


def encode_value(value: Value) -> bytes:
    """One type byte and the content; text must be NFC."""
    if isinstance(value, bool):
        raise Rejected("BAD_VALUE", "a boolean is not a field value")
    if isinstance(value, int):
        return INTEGER + str(value).encode()
    if isinstance(value, str):
        if unicodedata.normalize("NFC", value) != value:
            raise Rejected("BAD_VALUE", "text must be in Unicode normal form C")
        return TEXT + value.encode()
    return BYTES + value


def decode_value(data: bytes) -> Value:
    """Inverse of `encode_value`; refuses other spellings of the same value. Raises `Rejected("BAD_VALUE")`."""
    kind, content = data[:1], data[1:]
    value: Value = content
    try:
        if kind == INTEGER:
            value = int(content)
        elif kind == TEXT:
            value = content.decode()
        elif kind != BYTES:
            raise Rejected("BAD_VALUE", "unknown value type")
    except ValueError as error:
        raise Rejected("BAD_VALUE", "not an encoded field value") from error
    if encode_value(value) != data:
        raise Rejected("BAD_VALUE", "not the canonical encoding of the value")
    return value


def _name_bytes(name: str) -> bytes:
    raw = name.encode()
    return len(raw).to_bytes(2, "big") + raw


def derive_salt(seed: bytes, name: str) -> bytes:
    """Salt of a low or medium field: reveals neither the seed nor any other salt."""
    return sm3(b"\x02" + seed + _name_bytes(name))


def field_leaf(salt: bytes, name: str, value: bytes) -> bytes:
    """`SM3(0x00 ‖ salt ‖ len‖name ‖ len‖value)`, 32 bytes. `value` is already encoded."""
    if len(salt) != 32:
        raise Rejected("BAD_SALT", "a salt has 32 bytes", subject=name)
    return sm3(b"\x00" + salt + _name_bytes(name) + len(value).to_bytes(4, "big") + value)


@dataclass(frozen=True, slots=True)
class PlainField:
    """A field whose value the ledger holds, encoded."""

    name: str
    value: bytes


@dataclass(frozen=True, slots=True)
class SealedField:
    """A field of grade high: the ledger holds the leaf and a ciphertext that only the client can open."""

    name: str
    leaf: bytes
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class Opening:
    """Proof that a field of a record has a value: checkable with the record root alone."""

    name: str
    value: bytes
    salt: bytes
    index: int
    size: int
    path: tuple[bytes, ...]


@dataclass(frozen=True)
class Record:
    """`fields` are sorted by name (byte order) and distinct."""

    record_type: str
    seed: bytes
    fields: tuple[PlainField | SealedField, ...]

    def __post_init__(self) -> None:
        if len(self.seed) != 32:
            raise Rejected("BAD_SEED", "a record seed has 32 bytes")
        if not 0 < len(self.fields) <= MAX_FIELDS:
            raise Rejected("BAD_RECORD", f"a record has 1 to {MAX_FIELDS} fields")
        names = [f.name for f in self.fields]
        if any(a >= b for a, b in itertools.pairwise(names)):
            raise Rejected("BAD_RECORD", "field names must be sorted and distinct")
        for item in self.fields:
            if isinstance(item, SealedField):
                if len(item.leaf) != 32 or not 0 < len(item.ciphertext) <= MAX_VALUE_BYTES:
                    raise Rejected(
                        "BAD_RECORD", "a sealed field needs a 32-byte leaf and a ciphertext", subject=item.name
                    )
            elif len(item.value) > MAX_VALUE_BYTES:
                raise Rejected("BAD_RECORD", f"a value has at most {MAX_VALUE_BYTES} bytes", subject=item.name)

    @cached_property
    def leaves(self) -> tuple[bytes, ...]:
        seed = self.seed
        out = []
        for f in self.fields:
            if isinstance(f, SealedField):
                out.append(f.leaf)
                continue
            name = _name_bytes(f.name)
            salt = sm3(b"\x02" + seed + name)
            out.append(sm3(b"\x00" + salt + name + len(f.value).to_bytes(4, "big") + f.value))
        return tuple(out)

    @cached_property
    def root(self) -> bytes:
        """32-byte record root."""
        return merkle_root(SM3, self.leaves)

    def value(self, name: str) -> Value:
        """Decoded value of a plain field. Raises `Rejected("UNKNOWN_FIELD")` when absent or sealed."""
        for item in self.fields:
            if item.name == name and isinstance(item, PlainField):
                return decode_value(item.value)
        raise Rejected("UNKNOWN_FIELD", f"the record has no plain field {name!r}", subject=name)

    def integer(self, name: str) -> int:
        value = self.value(name)
        if not isinstance(value, int):
            raise Rejected("BAD_VALUE", "not an integer field", subject=name)
        return value

    def text(self, name: str) -> str:
        value = self.value(name)
        if not isinstance(value, str):
            raise Rejected("BAD_VALUE", "not a text field", subject=name)
        return value

    def binary(self, name: str) -> bytes:
        value = self.value(name)
        if not isinstance(value, bytes):
            raise Rejected("BAD_VALUE", "not a bytes field", subject=name)
        return value

    def open(self, name: str) -> Opening:
        """Opening of a plain field."""
        for index, item in enumerate(self.fields):
            if item.name == name and isinstance(item, PlainField):
                path = tuple(merkle_path(SM3, self.leaves, index))
                return Opening(name, item.value, derive_salt(self.seed, name), index, len(self.fields), path)
        raise Rejected("UNKNOWN_FIELD", f"the record has no plain field {name!r}", subject=name)

    @cached_property
    def encoded(self) -> bytes:
        """Storage form: version, type, seed, count, then per field name, kind and content, all length-prefixed."""
        kind = self.record_type.encode()
        out = [b"\x01", bytes([len(kind)]), kind, self.seed, len(self.fields).to_bytes(4, "big")]
        for f in self.fields:
            out.append(_name_bytes(f.name))
            if isinstance(f, SealedField):
                out += [b"\x01", f.leaf, len(f.ciphertext).to_bytes(4, "big"), f.ciphertext]
            else:
                out += [b"\x00", len(f.value).to_bytes(4, "big"), f.value]
        return b"".join(out)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, n: int) -> bytes:
        piece = self.data[self.at : self.at + n]
        if len(piece) != n:
            raise Rejected("BAD_RECORD", "the stored record is cut short")
        self.at += n
        return piece

    def number(self, n: int) -> int:
        return int.from_bytes(self.take(n), "big")

    def text(self, n: int) -> str:
        """Text after its length of `n` bytes."""
        try:
            return self.take(self.number(n)).decode()
        except UnicodeDecodeError as error:
            raise Rejected("BAD_RECORD", "a stored name is not UTF-8") from error


def decode_record(data: bytes) -> Record:
    """Inverse of `Record.encoded`. Raises `Rejected("BAD_RECORD")`."""
    reader = _Reader(data)
    if reader.take(1) != b"\x01":
        raise Rejected("BAD_RECORD", "unknown record version")
    kind = reader.text(1)
    seed = reader.take(32)
    fields: list[PlainField | SealedField] = []
    for _ in range(reader.number(4)):
        name = reader.text(2)
        match reader.number(1):
            case 0:
                fields.append(PlainField(name, reader.take(reader.number(4))))
            case 1:
                leaf = reader.take(32)
                fields.append(SealedField(name, leaf, reader.take(reader.number(4))))
            case other:
                raise Rejected("BAD_RECORD", f"{other} is no kind of field", subject=name)
    if reader.at != len(data):
        raise Rejected("BAD_RECORD", "bytes follow the record")
    return Record(kind, seed, tuple(fields))


def make_record(
    record_type: str, seed: bytes, values: Mapping[str, Value], sealed: tuple[SealedField, ...] = ()
) -> Record:
    """A record from plain values and sealed fields."""
    plain: list[PlainField | SealedField] = [PlainField(n, encode_value(v)) for n, v in values.items()]
    return Record(record_type, seed, tuple(sorted([*plain, *sealed], key=lambda f: f.name)))


def record_id(tx_hash: bytes, index: int = 0) -> bytes:
    """`SM3(0x03 ‖ tx_hash ‖ u32 index)`."""
    return sm3(b"\x03" + tx_hash + index.to_bytes(4, "big"))
