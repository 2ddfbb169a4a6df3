"""Records: codecs with one form, openings that hold and that break, sealed fields, and who sees what."""

from __future__ import annotations

import base64
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lianqiao_base.errors import LianqiaoError, Rejected
from mainland_chain.crypto import sm4
from mainland_chain.crypto.sm3 import sm3
from mainland_chain.log.errors import ProofError
from mainland_chain.log.hashing import SM3
from mainland_chain.log.proof import verify_inclusion
from mainland_chain.records.divisions import PROVINCES, is_division
from mainland_chain.records.reading import (
    READING_BYTES,
    Reading,
    batch_message,
    decode_reading,
    reading_message,
    readings_of,
    telemetry_record,
)
from mainland_chain.records.record import (
    MAX_FIELDS,
    MAX_VALUE_BYTES,
    PlainField,
    Record,
    SealedField,
    decode_record,
    decode_value,
    derive_salt,
    encode_value,
    field_leaf,
    make_record,
    record_id,
)
from mainland_chain.records.schemas import ASSET, SCHEMAS, Grade, schema
from mainland_chain.records.sealing import open_field, seal_field
from mainland_chain.records.visibility import mask, view_fields
from mainland_chain.state.entities import SigningMode
from tests.support.busy import Busy
from tests.support.world import World

QUICK = settings(max_examples=60, deadline=None)
SEED = bytes(range(32))
texts = st.text(st.characters(codec="utf-8"), max_size=40).map(lambda s: unicodedata.normalize("NFC", s))
values = st.integers(-(2**70), 2**70) | texts | st.binary(max_size=40)
names = st.text("abcdefghijklmnop_é/", min_size=1, max_size=12)
sealed_fields = st.builds(SealedField, names, st.binary(min_size=32, max_size=32), st.binary(min_size=1, max_size=60))
plain_fields = st.builds(PlainField, names, values.map(encode_value))
field_lists = st.lists(plain_fields | sealed_fields, min_size=1, max_size=12, unique_by=lambda f: f.name).map(
    lambda items: tuple(sorted(items, key=lambda f: f.name))
)
records = st.builds(Record, st.sampled_from(sorted(SCHEMAS)), st.binary(min_size=32, max_size=32), field_lists)


def rejected(code: str) -> pytest.RaisesExc[Rejected]:
    return pytest.raises(Rejected, check=lambda e: e.code == code)


# -- values and leaves -------------------------------------------------------------------------------------------------


@QUICK
@given(value=values)
def test_a_value_is_read_back(value: int | str | bytes) -> None:
    again = decode_value(encode_value(value))
    assert again == value
    assert type(again) is type(value)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", b"\x04x", b"\x01", b"\x0101", b"\x01-0", b"\x01+1", b"\x01 1", b"\x011_0", b"\x011.0", b"\x01\xd9\xa1",
     b"\x01abc", b"\x02\xff", b"\x02e\xcc\x81", b"\x02\xed\xa0\x80", b"\x01" + b"1" * 5000],
    ids=repr,
)  # fmt: skip
def test_a_value_has_one_encoding(data: bytes) -> None:
    with rejected("BAD_VALUE"):
        decode_value(data)


@pytest.mark.parametrize("value", [True, False, "e\u0301"])
def test_values_that_are_none(value: object) -> None:
    with rejected("BAD_VALUE"):
        encode_value(value)  # type: ignore[arg-type]


def test_leaf_salt_and_id_are_those_of_the_protocol() -> None:
    name, value = "capacity_w", b"\x01408000"
    salt = sm3(b"\x02" + SEED + b"\x00\x0a" + name.encode())
    assert derive_salt(SEED, name) == salt
    leaf = sm3(b"\x00" + salt + b"\x00\x0acapacity_w" + b"\x00\x00\x00\x07" + value)
    assert field_leaf(salt, name, value) == leaf
    assert Record("asset", SEED, (PlainField(name, value),)).leaves == (leaf,)
    assert record_id(b"t" * 32) == sm3(b"\x03" + b"t" * 32 + bytes(4))
    assert record_id(b"t" * 32, 1) == sm3(b"\x03" + b"t" * 32 + b"\x00\x00\x00\x01")
    with rejected("BAD_SALT"):
        field_leaf(salt[:31], name, value)


# -- records -----------------------------------------------------------------------------------------------------------


@QUICK
@given(record=records)
def test_a_record_is_read_back(record: Record) -> None:
    again = decode_record(record.encoded)
    assert again == record
    assert (again.root, again.leaves) == (record.root, record.leaves)


@settings(QUICK, max_examples=300)
@given(record=records, data=st.data())
def test_stored_records_are_strict(record: Record, data: st.DataObject) -> None:
    """A changed byte gives another record or none, and never another error."""
    raw = record.encoded
    for bad in (raw[:-1], raw + b"\x00", b"\x02" + raw[1:], b""):
        with rejected("BAD_RECORD"):
            decode_record(bad)
    changed = bytearray(raw)
    changed[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        other = decode_record(bytes(changed))
    except Rejected:
        return
    assert other != record
    assert other.encoded == bytes(changed)


A, B = PlainField("a", b"\x011"), PlainField("b", b"\x012")
SEALED = SealedField("c", b"l" * 32, b"x")


@pytest.mark.parametrize(
    ("seed", "fields", "code"),
    [
        (SEED[:31], (A,), "BAD_SEED"),
        (SEED, (), "BAD_RECORD"),
        (SEED, (B, A), "BAD_RECORD"),
        (SEED, (A, A), "BAD_RECORD"),
        (SEED, (replace(SEALED, leaf=b"l" * 31),), "BAD_RECORD"),
        (SEED, (replace(SEALED, ciphertext=b""),), "BAD_RECORD"),
        (SEED, (replace(SEALED, ciphertext=b"x" * (MAX_VALUE_BYTES + 1)),), "BAD_RECORD"),
        (SEED, (replace(A, value=b"\x03" * (MAX_VALUE_BYTES + 1)),), "BAD_RECORD"),
        (SEED, tuple(replace(A, name=f"{i:05d}") for i in range(MAX_FIELDS + 1)), "BAD_RECORD"),
    ],
    ids=range(9),
)
def test_records_that_are_none(seed: bytes, fields: tuple[PlainField | SealedField, ...], code: str) -> None:
    with rejected(code):
        Record("asset", seed, fields)


def test_typed_reading_of_fields() -> None:
    record = make_record("lock", SEED, {"units": 5, "lock_id": "l", "issuer": b"i"}, (SEALED,))
    assert (record.integer("units"), record.text("lock_id"), record.binary("issuer")) == (5, "l", b"i")
    for read, name in ((record.text, "units"), (record.integer, "issuer"), (record.binary, "lock_id")):
        with rejected("BAD_VALUE"):
            read(name)
    for name in ("c", "nothing"):
        with rejected("UNKNOWN_FIELD"):
            record.value(name)
        with rejected("UNKNOWN_FIELD"):
            record.open(name)


# -- openings ----------------------------------------------------------------------------------------------------------


@QUICK
@given(record=records)
def test_every_plain_field_opens_under_the_root(record: Record) -> None:
    for item in record.fields:
        if isinstance(item, PlainField):
            o = record.open(item.name)
            assert (o.value, o.size) == (item.value, len(record.fields))
            verify_inclusion(SM3, field_leaf(o.salt, o.name, o.value), o.index, o.size, o.path, record.root)


def test_an_opening_breaks_with_every_byte() -> None:
    record = make_record("asset", SEED, {f"f{i}": i * 1000 for i in range(7)})
    o = record.open("f3")

    def holds(salt: bytes, name: str, value: bytes, path: tuple[bytes, ...], root: bytes) -> bool:
        try:
            verify_inclusion(SM3, field_leaf(salt, name, value), o.index, o.size, path, root)
        except ProofError:
            return False
        return True

    def flips(raw: bytes) -> list[bytes]:
        return [raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1 :] for i in range(len(raw))]

    assert holds(o.salt, o.name, o.value, o.path, record.root)
    assert not any(holds(s, o.name, o.value, o.path, record.root) for s in flips(o.salt))
    assert not any(holds(o.salt, n.decode(), o.value, o.path, record.root) for n in flips(o.name.encode()))
    assert not any(holds(o.salt, o.name, v, o.path, record.root) for v in flips(o.value))
    assert not any(holds(o.salt, o.name, o.value, o.path, r) for r in flips(record.root))
    for i, node in enumerate(o.path):
        assert not any(
            holds(o.salt, o.name, o.value, (*o.path[:i], n, *o.path[i + 1 :]), record.root) for n in flips(node)
        )
    # Bytes moved from the name to the value make another leaf.
    assert field_leaf(o.salt, "ab", b"c") != field_leaf(o.salt, "a", b"bc")


def test_equal_values_have_different_leaves() -> None:
    record = make_record("asset", SEED, {"a": 1, "b": 1})
    other = make_record("asset", SEED[::-1], {"a": 1, "b": 1})
    assert len({*record.leaves, *other.leaves}) == 4


# -- readings ----------------------------------------------------------------------------------------------------------

readings = st.builds(
    Reading,
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
)


@QUICK
@given(batch=st.lists(readings, min_size=1, max_size=20))
def test_readings_are_read_back_from_their_record(batch: list[Reading]) -> None:
    encoded = [r.encode() for r in batch]
    assert {len(e) for e in encoded} == {READING_BYTES} == {36}
    assert [decode_reading(e) for e in encoded] == batch
    record = telemetry_record(SEED, "plant-1", "inverter-1", 5, batch, encoded)
    again = decode_record(record.encoded)
    assert list(readings_of(again)) == batch
    assert again.integer("first_sequence") == batch[0].sequence
    assert again.integer("interval_end_ms") == batch[-1].time_ms
    # The fast path for many readings gives the record that the plain path gives.
    plain = {f"reading/{i:05d}": e for i, e in enumerate(encoded)}
    head = {"asset_id": "plant-1", "device_id": "inverter-1", "interval_start_ms": 5}
    ends = {"first_sequence": batch[0].sequence, "interval_end_ms": batch[-1].time_ms}
    assert make_record("telemetry", SEED, {**plain, **head, **ends}) == record


def test_device_messages_are_those_of_the_protocol() -> None:
    reading = Reading(1, 2, -3, -4, 5, 6).encode()
    assert reading.hex() == "00000000000000010000000000000002fffffffffffffffdfffffffc0000000500000006"
    chain, device = b"c" * 32, sm3(b"inverter-1")
    assert reading_message(chain, "inverter-1", reading) == sm3(b"lianqiao.reading.v1") + chain + device + reading
    assert batch_message(chain, "inverter-1", [reading, reading]) == (
        sm3(b"lianqiao.reading-batch.v1") + chain + device + b"\x00\x00\x00\x02" + reading * 2
    )


# -- sealed fields -----------------------------------------------------------------------------------------------------

KEY = b"k" * 16


@QUICK
@given(value=values)
def test_a_sealed_field_opens_with_its_key(value: int | str | bytes) -> None:
    sealed = seal_field(KEY, "contact_name", value)
    again, salt = open_field(KEY, sealed)
    assert again == value
    assert field_leaf(salt, "contact_name", encode_value(value)) == sealed.leaf
    assert encode_value(value) == b"\x02" or encode_value(value)[1:] == b"" or len(sealed.ciphertext) > 60


def test_sealing_is_fresh_every_time() -> None:
    first, second = (seal_field(KEY, "contact_name", "王小明") for _ in range(2))
    assert first.leaf != second.leaf
    assert first.ciphertext[:12] != second.ciphertext[:12]


def test_a_sealed_field_opens_with_nothing_else() -> None:
    sealed = seal_field(KEY, "contact_name", "王小明")
    with pytest.raises(LianqiaoError):
        open_field(b"x" * 16, sealed)
    with pytest.raises(LianqiaoError):
        open_field(KEY, replace(sealed, name="contact_phone"))
    for i in range(len(sealed.ciphertext)):
        changed = bytearray(sealed.ciphertext)
        changed[i] ^= 1
        with pytest.raises(LianqiaoError):
            open_field(KEY, replace(sealed, ciphertext=bytes(changed)))
    with rejected("LEAF_MISMATCH"):
        open_field(KEY, replace(sealed, leaf=seal_field(KEY, "contact_name", "王小明").leaf))


def test_a_sealed_blob_too_short_for_its_salt_is_refused() -> None:
    raw = b"contact_name"
    data = sm3(b"lianqiao.sealed.v1") + len(raw).to_bytes(2, "big") + raw
    with pytest.raises(Rejected):
        open_field(KEY, SealedField("contact_name", b"l" * 32, sm4.seal(KEY, data, b"short")))


# -- schemas and sight -------------------------------------------------------------------------------------------------


def test_schemas_are_sorted_and_graded() -> None:
    for item in SCHEMAS.values():
        field_names = [f.name for f in item.fields]
        assert field_names == sorted(set(field_names))
        assert sum((len(item.names(g)) for g in Grade), 0) == len(field_names)
    assert ASSET.names(Grade.HIGH) == {"contact_id_number", "contact_name", "contact_phone"}
    with rejected("UNKNOWN_RECORD_TYPE"):
        schema("person")
    with rejected("UNKNOWN_FIELD"):
        ASSET.field("colour")


def test_divisions() -> None:
    assert is_division("440305")
    assert not any(
        is_division(c) for c in ("", "44", "4403055", "990000", "44030a", "４４０３０５", "44030²", "-40305")
    )
    assert len(PROVINCES) == 34


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "***"),
        ("a", "***"),
        ("ab", "***"),
        ("abc", "a***"),
        ("abcdef", "ab***"),
        ("a" * 90, "aaa***"),
        ("清河电站", "清***"),
    ],
)
def test_a_mask_shows_a_third_and_at_most_three(text: str, shown: str) -> None:
    assert mask(text) == shown


@QUICK
@given(text=texts)
def test_a_mask_hides_most_of_the_text(text: str) -> None:
    shown = mask(text).removesuffix("***")
    assert text.startswith(shown)
    assert len(shown) <= min(3, len(text) / 3)


@pytest.fixture(scope="module")
def busy() -> Busy:
    return Busy.make()


def _stored(world: World, record: bytes) -> Record:
    stored = world.store.record(record)
    assert stored is not None
    return decode_record(stored.data)


@pytest.mark.parametrize(("owner", "regulator"), [(False, False), (False, True), (True, False)])
@pytest.mark.parametrize("which", ["asset", "batch", "lock"])
def test_who_sees_what(busy: Busy, which: str, owner: bool, regulator: bool) -> None:
    record = _stored(busy, busy.ids[which])
    views = view_fields(record, owner=owner, regulator=regulator)
    assert [v.name for v in views] == [f.name for f in record.fields]
    assert tuple(v.leaf for v in views) == record.leaves
    for view, item in zip(views, record.fields, strict=True):
        if isinstance(item, SealedField):
            assert (view.grade, view.value, view.masked, view.salt, view.encoded_value) == ("high", "", True, b"", b"")
            assert view.ciphertext == (item.ciphertext if owner else b"")
        elif view.grade == "medium" and not (owner or regulator):
            full = record.text(item.name)
            assert view.masked
            assert view.value == mask(full)
            assert full not in repr(view)
            assert (view.salt, view.encoded_value, view.ciphertext) == (b"", b"", b"")
        else:
            assert not view.masked
            assert view.encoded_value == item.value
            assert field_leaf(view.salt, view.name, view.encoded_value) == view.leaf
    masked = {v.name for v in views if v.masked and v.grade == "medium"}
    known = {f.name for f in record.fields}
    assert masked == (set() if owner or regulator else schema(record.record_type).names(Grade.MEDIUM) & known)


def test_the_application_knows_who_is_owner_and_regulator(busy: Busy) -> None:
    stored = busy.store.record(busy.ids["asset"])
    assert stored is not None
    seen = {}
    for name in ("org-a.m1", "org-a.m2", "org-b.m1", "regulator.m1"):
        member = busy.app.member(name)
        assert member is not None
        seen[name] = {v.name: v for v in busy.app.view_record(stored, member)}
    owner = "深圳清河新能源有限公司"
    assert [seen[n]["legal_owner"].value for n in seen] == [owner, owner, mask(owner), owner]
    assert [bool(seen[n]["contact_name"].ciphertext) for n in seen] == [True, True, False, False]


def test_credibility_members_see_masked_values(busy: Busy) -> None:
    world = busy.fork()
    world.ok(world.admit_new())
    stored, member = world.store.record(world.ids["asset"]), world.app.member("court-1.m1")
    assert stored is not None
    assert member is not None
    views = {v.name: v for v in world.app.view_record(stored, member)}
    assert views["legal_owner"].masked
    assert views["contact_name"].ciphertext == b""
    assert views["capacity_w"].value == "408000"


# -- high-grade plaintext is nowhere -----------------------------------------------------------------------------------


def encodings(value: str) -> set[bytes]:
    raw = value.encode()
    wide = value.translate(
        {ord(c): ord(c) + 0xFEE0 for c in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"}
    )
    forms = {
        raw,
        raw[::-1],
        wide.encode(),
        value.encode("gb18030"),
        value.encode("utf-16-le"),
        value.encode("utf-16-be"),
    }
    forms |= {
        raw.hex().encode(),
        raw.hex().upper().encode(),
        value.encode("unicode_escape"),
        sm3(raw),
        sm3(encode_value(value)),
    }
    # base64 at each of the three alignments
    forms |= {base64.b64encode(b"\x00" * pad + raw)[(4 if pad else 0) :].rstrip(b"=")[:-1] for pad in range(3)}
    return {f for f in forms if len(f) > 3}


SECRETS = {"contact_name": "王小明爱新觉罗", "contact_phone": "13912345678", "contact_id_number": "110101199003070733"}


def everything_written(world: World) -> bytes:
    out = []
    for block in world.store.blocks:
        out += [block.header.encode(), *block.transactions, *block.result_leaves]
        out += [key.encode() + b"=" + (value or b"") for key, value in block.writes]
        out += [r.data for r in block.records] + [c.claim for c in block.claims] + [n.hash for n in block.log_nodes]
        out += [r.message.encode() for r in block.results]
    return b"\n".join(out)


def test_no_high_grade_value_is_written_in_any_encoding() -> None:
    world = World()
    sealed = tuple(seal_field(world.client_key, n, v) for n, v in SECRETS.items())
    asset = world.ok(world.asset(sealed=sealed)).record_id
    world.ok(world.register_device(SigningMode.BATCH))
    world.ok(world.builder().publish_policy(world.policy(), world.approvers()))
    fields = ("capacity_w", "commissioning_date", "division_code", "legal_owner")
    world.ok(world.export(world.decision("AssetClaim", asset, fields=fields)))
    written = everything_written(world)
    for value in SECRETS.values():
        for form in encodings(value):
            assert form not in written
    # They are there for the owner alone.
    record = _stored(world, asset)
    found = {f.name: open_field(world.client_key, f)[0] for f in record.fields if isinstance(f, SealedField)}
    assert found == SECRETS


def test_the_search_for_leaks_finds_one() -> None:
    """The same search over a ledger whose originator wrote a contact into a plain field."""
    world = World()
    world.ok(world.asset(legal_owner=SECRETS["contact_name"], sealed=()))
    assert any(form in everything_written(world) for form in encodings(SECRETS["contact_name"]))
