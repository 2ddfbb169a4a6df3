"""Every reason for which the ledger refuses, provoked once or more; a refused transaction leaves nothing but its result."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from lianqiao_base.errors import Rejected
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.export.claims import REQUIRED
from mainland_chain.export.decision import values_hash
from mainland_chain.export.policy import ExportDestination, FieldRule
from mainland_chain.light.claims import Transform, destination_id
from mainland_chain.records.reading import MAX_BATCH, Reading
from mainland_chain.records.record import SealedField
from mainland_chain.state.entities import Role, SigningMode
from mainland_chain.state.execution import next_commitment, result_leaf
from mainland_chain.state.refusals import Refusal, TransactionRefused
from mainland_chain.state.view import nonce_key
from mainland_chain.transaction_builder import Approver, BuiltTransaction, TransactionBuilder
from mainland_chain.wire import parse, signed_bytes
from tests.support.busy import OTHER_DESTINATION, Busy
from tests.support.world import CONTROLLER, DAY, DESTINATION, ISSUER, NOW, QUARTER, RULES

R = Refusal
Make = Callable[[Busy], BuiltTransaction]
CASES: list[tuple[str, Refusal, Make]] = []


@pytest.fixture(scope="module")
def busy() -> Busy:
    return Busy.make()


def refused(name: str, refusal: Refusal, make: Make) -> None:
    CASES.append((name, refusal, make))


def assert_refused(world: Busy, built: BuiltTransaction, refusal: Refusal) -> None:
    """`check` and the block give the same refusal, and nothing is written."""
    before, head = world.store.everything(), world.app.head
    assert head is not None
    with pytest.raises(TransactionRefused) as error:
        world.app.check(built.raw, world.now_ms + 200)
    world.app.begin_check()
    assert error.value.refusal is refusal, error.value
    assert error.value.code == refusal.name
    block = world.block(built)
    (result,) = block.results
    assert (result.code, result.ok) == (refusal.name, False)
    assert (result.record_id, result.record_root, result.log_index, result.flagged) == (b"", b"", None, ())
    assert block.result_leaves == (built.tx_hash + refusal.to_bytes(2, "big") + bytes(32),) == (result_leaf(result),)
    assert (block.writes, block.records, block.claims, block.log_nodes) == ((), (), (), ())
    assert block.header.state_commitment == next_commitment(head.header.state_commitment, ())
    assert block.header.export_log_size == head.header.export_log_size
    assert block.header.export_log_root == head.header.export_log_root
    assert world.store.everything() == before


# -- envelope ----------------------------------------------------------------------------------------------------------


def _by(member_id: str, key: Callable[[Busy], PrivateKey], chain: bytes | None = None) -> Make:
    def make(w: Busy) -> BuiltTransaction:
        builder = TransactionBuilder(chain or w.chain_id, member_id, key(w), lambda: 10**9)
        return builder.lock_units(
            lock_id="lock-x",
            asset_id="plant-001",
            units=1,
            destination=DESTINATION,
            issuer=ISSUER,
            filing_reference="F",
            expires_at_ms=NOW + DAY,
        )

    return make


def _last_nonce(w: Busy) -> int:
    return int(w.store.state(nonce_key("org-a.m1")) or 0)


def _replace_signature(w: Busy, signature: bytes) -> BuiltTransaction:
    tx = parse(w.lock(lock_id="lock-x").raw)
    return BuiltTransaction(signed_bytes(tx.transaction, signature), tx.tx_hash)


refused("chain of another ledger", R.WRONG_CHAIN, _by("org-a.m1", lambda w: w.keys["org-a"], b"x" * 32))
refused(
    "chain field differs from what was signed",
    R.WRONG_CHAIN,
    lambda w: w.edit(w.lock(lock_id="lock-x"), lambda t: setattr(t, "chain_id", bytes(32))),
)
refused("nobody", R.UNKNOWN_SIGNER, _by("nobody", lambda w: w.keys["org-a"]))
refused("empty signer", R.UNKNOWN_SIGNER, _by("", lambda w: w.keys["org-a"]))
refused("another member's key", R.BAD_SIGNATURE, _by("org-a.m1", lambda w: w.keys["org-b"]))
refused("no signature", R.BAD_SIGNATURE, lambda w: _replace_signature(w, b""))
refused("zero signature", R.BAD_SIGNATURE, lambda w: _replace_signature(w, bytes(64)))
refused(
    "the last nonce again",
    R.REPLAYED_NONCE,
    lambda w: w.edit(w.lock(lock_id="lock-x"), lambda t: setattr(t, "nonce", _last_nonce(w))),
)
refused(
    "an older nonce",
    R.REPLAYED_NONCE,
    lambda w: w.edit(w.lock(lock_id="lock-x"), lambda t: setattr(t, "nonce", _last_nonce(w) - 1)),
)
refused(
    "nonce zero of a member that sent nothing",
    R.REPLAYED_NONCE,
    lambda w: w.edit(w.lock(lock_id="lock-x"), lambda t: (setattr(t, "nonce", 0), setattr(t, "signer", "org-d.m1"))),
)
refused(
    "a nonce that no canonical JSON can hold",
    R.BAD_VALUE,
    lambda w: w.edit(w.lock(lock_id="lock-x"), lambda t: setattr(t, "nonce", 2**53)),
)


def _as_regulator(make: Make) -> Make:
    return lambda w: w.edit(make(w), lambda t: setattr(t, "signer", "regulator.m1"))


ONE_OF_EACH: dict[str, Make] = {
    "admit_member": lambda w: w.admit_new(),
    "register_device": lambda w: w.register_device(device_id="inverter-9", device_key=PrivateKey.generate()),
    "register_asset": lambda w: w.asset(asset_id="plant-009"),
    "submit_telemetry": lambda w: w.telemetry(w.readings(1, first=100)),
    "lock_units": lambda w: w.lock(lock_id="lock-009"),
    "publish_export_policy": lambda w: w.builder().publish_policy(w.policy(version=2), w.approvers()),
    "request_export": lambda w: w.export(w.decision("TelemetryClaim", w.ids["batch-2"])),
}
for _kind, _make in ONE_OF_EACH.items():
    refused(f"a regulator's {_kind}", R.ROLE_NOT_ALLOWED, _as_regulator(_make))

# -- members -----------------------------------------------------------------------------------------------------------

BAD_IDS = ("", "ab", "Plant-1", "-abc", "abc-", "a_b", "a b", "x" * 65, "电站-一", ".abc")
for _bad in BAD_IDS:
    refused(f"member id {_bad!r}", R.BAD_IDENTIFIER, lambda w, b=_bad: w.admit_new(member_id=b))
    refused(f"organisation id {_bad!r}", R.BAD_IDENTIFIER, lambda w, b=_bad: w.admit_new(organisation_id=b))
    refused(f"asset id {_bad!r}", R.BAD_IDENTIFIER, lambda w, b=_bad: w.asset(asset_id=b))
    refused(
        f"device id {_bad!r}",
        R.BAD_IDENTIFIER,
        lambda w, b=_bad: w.register_device(device_id=b, device_key=PrivateKey.generate()),
    )
    refused(f"lock id {_bad!r}", R.BAD_IDENTIFIER, lambda w, b=_bad: w.lock(lock_id=b))
refused("a member again", R.MEMBER_EXISTS, lambda w: w.admit())
for _bad in ("", "  ", "Q" * 201):
    refused(
        f"qualification of {len(_bad)}",
        R.QUALIFICATION_MISSING,
        lambda w, b=_bad: w.admit_new(qualification_reference=b),
    )
    refused(f"organisation name of {len(_bad)}", R.BAD_VALUE, lambda w, b=_bad: w.admit_new(organisation_name=b))


def _with_key(public_key: bytes) -> Callable[[object], None]:
    def change(t: object) -> None:
        kind = t.WhichOneof("body")  # type: ignore[attr-defined]
        getattr(t, kind).public_key = public_key

    return change


for _bad_key in (b"", bytes(64), b"\x01" * 64, b"\x01" * 63, b"\x04" + b"\x01" * 64):
    refused(
        f"member key {_bad_key[:2]!r} {len(_bad_key)}",
        R.BAD_PUBLIC_KEY,
        lambda w, k=_bad_key: w.edit(w.admit_new(), _with_key(k)),
    )
    refused(
        f"device key {_bad_key[:2]!r} {len(_bad_key)}",
        R.BAD_PUBLIC_KEY,
        lambda w, k=_bad_key: w.edit(w.register_device(device_id="inverter-9"), _with_key(k)),
    )
refused("a member's key for another member", R.KEY_IN_USE, lambda w: w.admit_new(key=w.second_key))
refused("a genesis member's key", R.KEY_IN_USE, lambda w: w.admit_new(key=w.keys["org-b"]))
refused("a device's key for a member", R.KEY_IN_USE, lambda w: w.admit_new(key=w.device))
refused("a device's key for a device", R.KEY_IN_USE, lambda w: w.register_device(device_id="inverter-9"))
refused(
    "a member's key for a device",
    R.KEY_IN_USE,
    lambda w: w.register_device(device_id="inverter-9", device_key=w.second_key),
)
refused(
    "possession shown under another member id",
    R.NO_KEY_POSSESSION,
    lambda w: w.edit(w.admit_new(), lambda t: setattr(t.admit_member, "member_id", "court-2.m1")),
)
refused(
    "possession of another member's key",
    R.NO_KEY_POSSESSION,
    lambda w: w.edit(w.admit_new(), _with_key(PrivateKey.generate().public_key)),
)
refused(
    "possession shown under another device id",
    R.NO_KEY_POSSESSION,
    lambda w: w.edit(
        w.register_device(device_id="inverter-9", device_key=PrivateKey.generate()),
        lambda t: setattr(t.register_device, "device_id", "inverter-8"),
    ),
)
refused(
    "a TLS certificate in use",
    R.TLS_IDENTITY_IN_USE,
    lambda w: w.admit_new(tls_fingerprint=hashlib.sha256(b"org-a.m2").digest()),
)
refused(
    "a genesis member's TLS certificate",
    R.TLS_IDENTITY_IN_USE,
    lambda w: w.admit_new(tls_fingerprint=hashlib.sha256(b"org-b").digest()),
)
for _n in (0, 31, 33):
    refused(
        f"a fingerprint of {_n} bytes", R.TLS_IDENTITY_IN_USE, lambda w, n=_n: w.admit_new(tls_fingerprint=b"t" * n)
    )
for _n in (0, 1, 2):
    refused(f"{_n} of 4 admit", R.NOT_ENOUGH_APPROVALS, lambda w, n=_n: w.admit_new(approvers=w.approvers(n)))
    refused(
        f"{_n} of 4 publish",
        R.NOT_ENOUGH_APPROVALS,
        lambda w, n=_n: w.builder().publish_policy(w.policy(version=2), w.approvers(n)),
    )


def _bad_approvals(w: Busy) -> Iterator[list[Approver]]:
    three = w.approvers(3)
    yield [*three, Approver("regulator.m1", w.regulator)]
    yield [*three, Approver("nobody", w.keys["org-d"])]
    yield [*three, three[0]]
    yield [*w.approvers(2), Approver("org-a.m2", w.second_key)]
    yield [*w.approvers(2), Approver("org-c.m1", w.keys["org-d"])]


for _i, _what in enumerate(("a regulator", "a stranger", "one member twice", "two of one organisation", "a wrong key")):
    refused(f"approved by {_what}", R.BAD_APPROVAL, lambda w, i=_i: w.admit_new(approvers=list(_bad_approvals(w))[i]))
    refused(
        f"policy approved by {_what}",
        R.BAD_APPROVAL,
        lambda w, i=_i: w.builder().publish_policy(w.policy(version=2), list(_bad_approvals(w))[i]),
    )
refused(
    "approvals of another body",
    R.BAD_APPROVAL,
    lambda w: w.edit(w.admit_new(), lambda t: setattr(t.admit_member, "qualification_reference", "Q-forged")),
)
refused(
    "approvals of another policy",
    R.BAD_APPROVAL,
    lambda w: w.edit(
        w.builder().publish_policy(w.policy(version=2), w.approvers()),
        lambda t: setattr(t.publish_export_policy, "effective_to_ms", NOW + 1000 * DAY),
    ),
)
refused(
    "the organisation under another name",
    R.ORGANISATION_MISMATCH,
    lambda w: w.admit_new(organisation_id="org-b", role=Role.CORE),
)
refused(
    "the organisation in another role",
    R.ORGANISATION_MISMATCH,
    lambda w: w.admit_new(organisation_id="org-b", organisation_name="ORG-B"),
)

# -- policies ----------------------------------------------------------------------------------------------------------


def _policy(refusal: Refusal, name: str, **changes: object) -> None:
    refused(
        f"policy: {name}",
        refusal,
        lambda w: w.builder().publish_policy(w.policy(**{"version": 2, **changes}), w.approvers()),
    )


def _target(chain: int = 31337, key: bytes = b"p" * 32, controller: bytes = CONTROLLER) -> ExportDestination:
    return ExportDestination(destination_id(chain, controller), chain, controller, key)


_A, _B = sorted((_target(), _target(1, b"q" * 32)), key=lambda d: d.destination)
_policy(R.POLICY_VERSION, "the same version", version=1)
_policy(R.POLICY_VERSION, "a version left out", version=3)
_policy(R.POLICY_VERSION, "version zero", version=0)
_policy(R.POLICY_INTERVAL, "empty interval", effective_to_ms=NOW - DAY)
_policy(R.POLICY_INTERVAL, "reversed interval", effective_to_ms=NOW - DAY - 1)
_policy(R.POLICY_DESTINATION, "no destination", destinations=())
_policy(R.POLICY_DESTINATION, "unsorted destinations", destinations=(_B, _A))
_policy(R.POLICY_DESTINATION, "a destination twice", destinations=(_A, _A))
_policy(R.POLICY_DESTINATION, "id of another chain", destinations=(replace(_target(), l2_chain_id=1),))
_policy(R.POLICY_DESTINATION, "id of another controller", destinations=(replace(_target(), mint_controller=ISSUER),))
_policy(R.POLICY_DESTINATION, "a controller of 19 bytes", destinations=(replace(_target(), mint_controller=b"1" * 19),))
_policy(R.POLICY_DESTINATION, "no controller", destinations=(replace(_target(), mint_controller=b""),))
_policy(R.POLICY_DESTINATION, "a key of 31 bytes", destinations=(_target(key=b"p" * 31),))
_policy(R.POLICY_DESTINATION, "one key for two", destinations=(_A, replace(_B, pseudonym_key=_A.pseudonym_key)))
_policy(R.POLICY_GATE, "no gate", gate_keys=())
_policy(R.POLICY_GATE, "a key off the curve", gate_keys=(b"\x01" * 64,))
refused(
    "policy: a gate twice",
    R.POLICY_GATE,
    lambda w: w.builder().publish_policy(w.policy(version=2, gate_keys=(w.gate.public_key,) * 2), w.approvers()),
)
_policy(R.POLICY_RULE, "unsorted rules", rules=(RULES[1], RULES[0]))
_policy(R.POLICY_RULE, "two rules for a field", rules=(RULES[0], RULES[0]))
for _type, _field, _transform, _parameter in (
    ("person", "name", Transform.KEEP, 0),
    ("asset", "colour", Transform.KEEP, 0),
    ("asset", "contact_name", Transform.PSEUDONYM, 0),
    ("asset", "contact_phone", Transform.KEEP, 0),
    ("asset", "plant_name", Transform.REGION, 0),
    ("asset", "plant_name", Transform.SUM, 0),
    ("asset", "capacity_w", Transform.SUM, 0),
    ("asset", "capacity_w", Transform.BUCKET, 0),
    ("asset", "capacity_w", Transform.ROUND, 0),
    ("asset", "capacity_w", Transform.KEEP, 5),
    ("asset", "commissioning_date", Transform.ROUND, 1),
    ("asset", "commissioning_date", Transform.BUCKET, 10),
    ("asset", "division_code", Transform.ROUND, 10),
    ("telemetry", "power_w", Transform.KEEP, 0),
    ("telemetry", "power_w", Transform.MAX, 1),
    ("lock", "issuer", Transform.ROUND, 10),
):
    _policy(
        R.POLICY_RULE,
        f"{_type}.{_field} {_transform.name} {_parameter}",
        rules=(FieldRule(_type, _field, _transform, _parameter),),
    )
_policy(
    R.BAD_VALUE,
    "a parameter that no canonical JSON can hold",
    rules=(FieldRule("asset", "capacity_w", Transform.ROUND, 2**63),),
)

# -- assets, devices, locks --------------------------------------------------------------------------------------------

refused("an asset again", R.ASSET_EXISTS, lambda w: w.asset())
refused("an asset of another's name", R.ASSET_EXISTS, lambda w: w.asset(asset_id="plant-002"))
refused("a profile unheard of", R.UNKNOWN_PROFILE, lambda w: w.asset(asset_id="plant-009", profile="gold"))
for _name, _value in (
    ("division_code", "000000"),
    ("division_code", "44030"),
    ("division_code", "4403051"),
    ("division_code", "４４０３０５"),
    ("division_code", "44030x"),
    ("commissioning_date", "2019-02-29"),
    ("commissioning_date", "2019-6-30"),
    ("commissioning_date", "20190630"),
    ("commissioning_date", "２019-06-30"),
    ("commissioning_date", "2019-06-30 "),
    ("capacity_w", 0),
    ("capacity_w", 10**11 + 1),
    ("unit_count", 0),
    ("unit_count", 10**12 + 1),
    ("legal_owner", ""),
    ("legal_owner", " \u3000"),
    ("legal_owner", "x" * 201),
    ("plant_name", "e\u0301"),
    ("plant_name", "\x00"),
    ("plant_name", "a\u202eb"),
    ("plant_name", "a\nb"),
):
    refused(
        f"{_name} {_value!r:.20}", R.BAD_VALUE, lambda w, n=_name, v=_value: w.asset(asset_id="plant-009", **{n: v})
    )
for _name, _value in (
    ("rated_power_w", 0),
    ("rated_power_w", 10**11 + 1),
    ("interval_ms", 0),
    ("interval_ms", DAY + 1),
    ("manufacturer", ""),
    ("model", "\t"),
    ("serial", "x" * 201),
):
    refused(
        f"device {_name} {_value!r:.20}",
        R.BAD_VALUE,
        lambda w, n=_name, v=_value: w.register_device(
            device_id="inverter-9", device_key=PrivateKey.generate(), **{n: v}
        ),
    )
_SEALED = SealedField("contact_name", b"l" * 32, b"c" * 61)
for _what, _sealed in (
    ("a field sealed twice", (_SEALED, _SEALED)),
    ("a low field sealed", (replace(_SEALED, name="capacity_w"),)),
    ("an unknown field sealed", (replace(_SEALED, name="passport"),)),
):
    refused(_what, R.BAD_SEALED_FIELD, lambda w, s=_sealed: w.asset(asset_id="plant-009", sealed=s))
for _what, _sealed in (
    ("a leaf of 31 bytes", (replace(_SEALED, leaf=b"l" * 31),)),
    ("no ciphertext", (replace(_SEALED, ciphertext=b""),)),
    ("a ciphertext too long", (replace(_SEALED, ciphertext=b"c" * 4097),)),
):
    refused(_what, R.BAD_VALUE, lambda w, s=_sealed: w.asset(asset_id="plant-009", sealed=s))
refused("a device again", R.DEVICE_EXISTS, lambda w: w.register_device(device_key=PrivateKey.generate()))
refused(
    "a device of no asset",
    R.UNKNOWN_ASSET,
    lambda w: w.register_device(device_id="inverter-9", asset_id="plant-404", device_key=PrivateKey.generate()),
)
refused(
    "a device on another's asset",
    R.NOT_THE_OWNER,
    lambda w: w.register_device(device_id="inverter-9", asset_id="plant-002", device_key=PrivateKey.generate()),
)
refused("a lock on no asset", R.UNKNOWN_ASSET, lambda w: w.lock(lock_id="lock-009", asset_id="plant-404"))
refused("a lock on another's asset", R.NOT_THE_OWNER, lambda w: w.lock(lock_id="lock-009", asset_id="plant-002"))
refused("a lock again", R.DOUBLE_LOCK, lambda w: w.lock())
refused("a lock of nothing", R.NO_UNITS, lambda w: w.lock(lock_id="lock-009", units=0))
refused("one unit too many", R.UNITS_EXCEEDED, lambda w: w.lock(lock_id="lock-009", units=1_000_000 - 15_000 + 1))
refused("all units of the world", R.UNITS_EXCEEDED, lambda w: w.lock(lock_id="lock-009", units=2**64 - 1))
refused("a lock without filing", R.FILING_MISSING, lambda w: w.lock(lock_id="lock-009", filing_reference=" "))
refused("a filing too long", R.FILING_MISSING, lambda w: w.lock(lock_id="lock-009", filing_reference="F" * 201))
refused("a filing with a control", R.BAD_VALUE, lambda w: w.lock(lock_id="lock-009", filing_reference="F\x001"))
refused("a lock that is over", R.LOCK_EXPIRED, lambda w: w.lock(lock_id="lock-009", expires_at_ms=w.now_ms + 200))
for _name, _value in (
    ("issuer", bytes(20)),
    ("issuer", b"i" * 19),
    ("issuer", b""),
    ("destination", b"d" * 31),
    ("destination", b""),
):
    refused(
        f"{_name} of {len(_value)} bytes",
        R.BAD_ISSUER,
        lambda w, n=_name, v=_value: w.lock(lock_id="lock-009", **{n: v}),
    )

# -- telemetry ---------------------------------------------------------------------------------------------------------


def _next(w: Busy, **changes: int) -> Reading:
    """The next good reading of inverter-1 (nameplate 400 kW, every 15 minutes), changed."""
    return w.readings(1, first=9)[0]._replace(**changes)


def _reading(refusal: Refusal, name: str, **changes: int) -> None:
    refused(f"reading: {name}", refusal, lambda w: w.telemetry([_next(w, **changes)]))


refused("no such device", R.UNKNOWN_DEVICE, lambda w: w.telemetry(device_id="inverter-404"))
refused(
    "another's device",
    R.NOT_THE_OWNER,
    lambda w: w.telemetry(w.readings(1), device_id="inverter-b", device_key=w.device_b),
)
refused("no readings", R.EMPTY_BATCH, lambda w: w.telemetry([]))
refused("a reading too many", R.BATCH_TOO_LARGE, lambda w: w.telemetry(w.readings(MAX_BATCH + 1, first=9)))
refused(
    "reading signatures of a batch device",
    R.SIGNATURE_COUNT,
    lambda w: w.telemetry(w.readings(2, first=9), SigningMode.READING),
)
refused(
    "a batch signature of a reading device",
    R.SIGNATURE_COUNT,
    lambda w: w.telemetry(w.readings(2, first=9), device_id="inverter-3", device_key=w.device_single),
)
refused(
    "no signature of a reading",
    R.SIGNATURE_COUNT,
    lambda w: w.builder().forward_telemetry(device_id="inverter-1", readings=w.readings(2, first=9), signatures=[]),
)
refused("another device's key", R.BAD_DEVICE_SIGNATURE, lambda w: w.telemetry(device_key=w.device_b))
refused(
    "one reading, the batch's signature",
    R.BAD_DEVICE_SIGNATURE,
    lambda w: w.telemetry(w.readings(1, first=9), device_id="inverter-3", device_key=w.device_single),
)
refused(
    "a reading changed after signing",
    R.BAD_DEVICE_SIGNATURE,
    lambda w: w.edit(
        w.telemetry(w.readings(2, first=9)), lambda t: setattr(t.submit_telemetry.readings[1], "energy_wh", 2)
    ),
)
refused(
    "a reading cut off after signing",
    R.BAD_DEVICE_SIGNATURE,
    lambda w: w.edit(w.telemetry(w.readings(2, first=9)), lambda t: t.submit_telemetry.readings.pop()),
)


def _swap_signatures(t: object) -> None:
    signatures = t.submit_telemetry.signatures  # type: ignore[attr-defined]
    signatures[0], signatures[1] = signatures[1], signatures[0]


refused(
    "signatures of two readings exchanged",
    R.BAD_DEVICE_SIGNATURE,
    lambda w: w.edit(
        w.telemetry(w.readings(2, first=9), SigningMode.READING, device_id="inverter-3", device_key=w.device_single),
        _swap_signatures,
    ),
)
refused(
    "another device's batch",
    R.BAD_DEVICE_SIGNATURE,
    lambda w: w.edit(
        w.telemetry(w.readings(1, first=9)), lambda t: setattr(t.submit_telemetry, "device_id", "inverter-b")
    ),
)
_reading(R.SEQUENCE_NOT_INCREASING, "the last sequence", sequence=8)
_reading(R.SEQUENCE_NOT_INCREASING, "an older sequence", sequence=1)
refused(
    "reading: a sequence twice in a batch",
    R.SEQUENCE_NOT_INCREASING,
    lambda w: w.telemetry([_next(w), _next(w, time_ms=_next(w).time_ms + 1)]),
)
_reading(R.TIME_NOT_INCREASING, "the last time", time_ms=NOW - 2 * DAY + 8 * QUARTER)
_reading(R.TIME_NOT_INCREASING, "time zero", time_ms=0)
refused(
    "reading: a time twice in a batch",
    R.TIME_NOT_INCREASING,
    lambda w: w.telemetry([_next(w), _next(w, sequence=10)]),
)
refused(
    "reading: a millisecond beyond the tolerance",
    R.TIME_IN_FUTURE,
    lambda w: w.telemetry([_next(w, time_ms=w.now_ms + 200 + 120_001)]),
)
_reading(R.TIME_IN_FUTURE, "the end of time", time_ms=2**64 - 1)
_reading(R.POWER_OUTSIDE_NAMEPLATE, "a watt above 120 %", power_w=480_001)
_reading(R.POWER_OUTSIDE_NAMEPLATE, "a watt below -5 %", power_w=-20_001)
_reading(R.ENERGY_OUTSIDE_NAMEPLATE, "an hour's quarter above 120 %", energy_wh=120_001)
_reading(R.ENERGY_OUTSIDE_NAMEPLATE, "negative energy", energy_wh=-1)
_reading(R.ENERGY_OUTSIDE_NAMEPLATE, "all energy", energy_wh=2**63 - 1)
_reading(R.BAD_VALUE, "a sequence that no canonical JSON can hold", sequence=2**64 - 1)

# -- exports -----------------------------------------------------------------------------------------------------------


def _export(refusal: Refusal, name: str, kind: str, *ids: str, **changes: object) -> None:
    refused(
        f"export: {name}",
        refusal,
        lambda w: w.export(w.decision(kind, *(w.ids.get(i, i.encode().ljust(32)) for i in ids), **changes)),
    )


def _asked(refusal: Refusal, name: str, change: Callable[[object, Busy], object]) -> None:
    """The gate decided about one thing; the request asks for another."""
    refused(
        f"asked for {name}",
        refusal,
        lambda w: w.edit(
            w.export(w.decision("TelemetryClaim", w.ids["batch-2"], fields=("power_w",))),
            lambda t: change(t.request_export, w),
        ),
    )


def _clear(request: object, name: str, values: list[object]) -> None:
    request.ClearField(name)  # type: ignore[attr-defined]
    getattr(request, name).extend(values)


_export(
    R.DESTINATION_NOT_ALLOWED,
    "a destination outside the policy",
    "TelemetryClaim",
    "batch-2",
    destination=OTHER_DESTINATION,
)
_export(R.DESTINATION_NOT_ALLOWED, "units locked for elsewhere", "UnitLockClaim", "lock-other")
_export(R.BAD_VALUE, "a claim unheard of", "PersonClaim", "asset")
refused(
    "a gate outside the policy",
    R.UNKNOWN_GATE,
    lambda w: w.builder().request_export(
        w.sign_decision(w.decision("TelemetryClaim", w.ids["batch-2"]), PrivateKey.generate())
    ),
)
refused(
    "a decision signed for another ledger",
    R.BAD_DECISION,
    lambda w: w.builder().request_export(
        replace(
            w.sign_decision(w.decision("TelemetryClaim", w.ids["batch-2"])),
            signature=w.gate.sign(w.decision("TelemetryClaim", w.ids["batch-2"]).signing_message(bytes(32))),
        )
    ),
)
refused(
    "a decision changed after signing",
    R.BAD_DECISION,
    lambda w: w.builder().request_export(
        replace(
            w.sign_decision(w.decision("TelemetryClaim", w.ids["batch-2"])),
            decision=w.decision("TelemetryClaim", w.ids["batch-2"], valid_until_ms=NOW + 2 * DAY),
        )
    ),
)
refused(
    "a gate key that is no point",
    R.BAD_DECISION,
    lambda w: w.builder().request_export(
        replace(w.sign_decision(w.decision("TelemetryClaim", w.ids["batch-2"])), gate_public_key=b"\x01" * 64)
    ),
)
for _verdict in ("HOLD", "DENY", "NEEDS_INFO", "allow", ""):
    _export(R.DECISION_NOT_ALLOW, f"verdict {_verdict!r}", "TelemetryClaim", "batch-2", verdict=_verdict)
_asked(R.DECISION_MISMATCH, "another record", lambda r, w: _clear(r, "record_ids", [w.ids["batch-3"]]))
_asked(R.DECISION_MISMATCH, "more fields", lambda r, w: _clear(r, "fields", ["energy_wh", "power_w"]))
_asked(R.DECISION_MISMATCH, "another claim", lambda r, w: setattr(r, "claim_kind", "AssetClaim"))
_asked(R.DESTINATION_NOT_ALLOWED, "another destination", lambda r, w: setattr(r, "destination", OTHER_DESTINATION))
_export(R.DECISION_MISMATCH, "another policy version", "TelemetryClaim", "batch-2", policy_version=2)
_export(R.DECISION_MISMATCH, "another filing than the lock's", "UnitLockClaim", "lock-2", filing_reference="CSRC-2")
refused(
    "a decision that lapses now",
    R.DECISION_LAPSED,
    lambda w: w.export(w.decision("TelemetryClaim", w.ids["batch-2"], valid_until_ms=w.now_ms + 200)),
)
_export(
    R.DECISION_LAPSED,
    "a decision that lapses before it is issued",
    "TelemetryClaim",
    "batch-2",
    issued_at_ms=NOW + DAY + 1,
)
refused(
    "an approval that lapses now",
    R.APPROVAL_LAPSED,
    lambda w: w.export(w.decision("TelemetryClaim", w.ids["batch-2"], approval_valid_until_ms=w.now_ms + 200)),
)
_export(R.FILING_MISSING, "no filing", "TelemetryClaim", "batch-2", filing_reference=" ")
_export(R.FILING_MISSING, "no approval", "TelemetryClaim", "batch-2", approval_reference="")
_export(R.RECORD_NAMED_TWICE, "a batch twice", "TelemetryClaim", "batch-2", "batch-2")
_export(R.WRONG_RECORD_COUNT, "no record", "TelemetryClaim")
_export(R.WRONG_RECORD_COUNT, "no asset", "AssetClaim")
_export(R.WRONG_RECORD_COUNT, "two assets", "AssetClaim", "asset", "asset-b")
_export(R.WRONG_RECORD_COUNT, "two locks", "UnitLockClaim", "lock", "lock-2")
_export(R.WRONG_RECORD_COUNT, "too many batches", "TelemetryClaim", *(f"r{i}" for i in range(367)))
_export(R.UNKNOWN_RECORD, "366 batches that are none", "TelemetryClaim", *(f"r{i}" for i in range(366)))
_export(R.UNKNOWN_RECORD, "a record unheard of", "AssetClaim", "nothing")
_export(R.NOT_THE_OWNER, "another's asset", "AssetClaim", "asset-b")
_export(R.WRONG_RECORD_TYPE, "a lock as an asset", "AssetClaim", "lock-2")
_export(R.WRONG_RECORD_TYPE, "an asset as telemetry", "TelemetryClaim", "asset")
_export(R.WRONG_RECORD_TYPE, "telemetry as a lock", "UnitLockClaim", "batch-2")
for _field in ("plant_name", "contact_name", "nothing"):
    refused(
        f"export: asset field {_field}",
        R.FIELD_NOT_ALLOWED,
        lambda w, f=_field: w.export(w.decision("AssetClaim", w.ids["asset-3"], fields=(f,))),
    )
for _field in ("irradiance_w_m2", "device_id", "readings", "interval_end_ms", "first_sequence"):
    _export(R.FIELD_NOT_ALLOWED, f"telemetry field {_field}", "TelemetryClaim", "batch-2", fields=(_field,))
_export(R.FIELD_NOT_ALLOWED, "lock field destination", "UnitLockClaim", "lock-2", fields=("destination",))
_export(R.FIELD_NAMED_TWICE, "a field twice", "TelemetryClaim", "batch-2", fields=("power_w", "power_w"))
_export(R.FIELD_NAMED_TWICE, "fields unsorted", "TelemetryClaim", "batch-2", fields=("power_w", "energy_wh"))
_export(R.INTERVAL_NOT_NEXT, "telemetry again", "TelemetryClaim", "batch")
_export(R.INTERVAL_NOT_NEXT, "telemetry again with more", "TelemetryClaim", "batch", "batch-2")
_export(R.INTERVAL_NOT_NEXT, "batches out of order", "TelemetryClaim", "batch-2", "batch")
_export(R.MIXED_ASSETS, "two plants in one claim", "TelemetryClaim", "batch-2", "batch-3")
_export(R.ALREADY_EXPORTED, "an asset again", "AssetClaim", "asset")
_export(R.ALREADY_EXPORTED, "an asset again with other fields", "AssetClaim", "asset", fields=("legal_owner",))
_export(R.ALREADY_EXPORTED, "a lock again", "UnitLockClaim", "lock")


@pytest.mark.parametrize(("refusal", "make"), [pytest.param(r, m, id=f"{r.name}: {n}") for n, r, m in CASES])
def test_a_refused_transaction_leaves_nothing_but_its_result(busy: Busy, refusal: Refusal, make: Make) -> None:
    world = busy.fork()
    assert_refused(world, make(world), refusal)


def test_every_refusal_is_provoked_here() -> None:
    elsewhere = {
        R.OK,
        R.MALFORMED,  # never in a block: the wire tests
        R.DUPLICATE_TRANSACTION,
        R.NO_POLICY_IN_FORCE,
        R.INTERVAL_TOO_SMALL,
    }
    assert {r for _, r, _ in CASES} | elsewhere == set(Refusal)


def test_an_accepted_transaction_is_accepted_once(busy: Busy) -> None:
    world = busy.fork()
    for built in (world.telemetry(world.readings(1, first=9)), world.asset(asset_id="plant-009")):
        world.ok(built)
        assert_refused(world, built, R.DUPLICATE_TRANSACTION)


def test_a_transaction_twice_in_one_block_counts_once(busy: Busy) -> None:
    world = busy.fork()
    built = world.telemetry(world.readings(1, first=9))
    again = world.edit(built, lambda t: None)  # the same transaction under another signature
    assert again.tx_hash == built.tx_hash
    assert again.raw != built.raw
    assert [r.code for r in world.block(built, again).results] == ["OK", "DUPLICATE_TRANSACTION"]
    stored = world.store.transaction(built.tx_hash)
    assert stored is not None
    assert stored.result.ok


def test_a_forged_copy_does_not_burn_a_transaction(busy: Busy) -> None:
    """Anybody may put a copy with a bad signature into a block; the owner's own is accepted all the same."""
    world = busy.fork()
    built = world.lock(lock_id="lock-009")
    forged = world.edit(built, lambda t: None, signer=PrivateKey.generate())
    assert forged.tx_hash == built.tx_hash
    assert world.run(forged).code == "BAD_SIGNATURE"
    assert world.run(built).ok


def test_no_policy_no_export() -> None:
    world = Busy()
    asset = world.ok(world.asset()).record_id
    assert_refused(world, world.export(world.decision("AssetClaim", asset)), R.NO_POLICY_IN_FORCE)


@pytest.mark.parametrize(("start", "end", "ok"), [(0, 1, True), (1, 2, False), (-5, 0, False), (-5, 1, True)], ids=str)
def test_a_policy_must_be_in_force_when_it_is_published(start: int, end: int, ok: bool) -> None:
    """It replaces the one before at once: a later beginning would leave none in force."""
    world = Busy()
    world.ok(world.asset())
    at = NOW + 10_000
    world.now_ms = at - 200
    policy = world.policy(effective_from_ms=at + start, effective_to_ms=at + end)
    built = world.builder().publish_policy(policy, world.approvers())
    if ok:
        world.ok(built)
    else:
        assert_refused(world, built, R.POLICY_INTERVAL)


@pytest.mark.parametrize(("before_its_end", "ok"), [(1, True), (0, False)], ids=str)
def test_a_policy_lapses_at_its_end(before_its_end: int, ok: bool) -> None:
    world = Busy()
    asset = world.ok(world.asset()).record_id
    end = NOW + 10_000
    world.ok(world.builder().publish_policy(world.policy(effective_to_ms=end), world.approvers()))
    world.now_ms = end - before_its_end - 200
    built = world.export(world.decision("AssetClaim", asset))
    if ok:
        world.ok(built)
    else:
        assert_refused(world, built, R.NO_POLICY_IN_FORCE)


def test_a_destination_keeps_its_pseudonym_key(busy: Busy) -> None:
    """Another key would show one asset as two in Hong Kong, each with all its units."""
    world = busy.fork()
    current = world.policy()
    other = replace(current.destinations[0], pseudonym_key=b"q" * 32)
    changed = replace(current, version=2, destinations=(other,))
    assert_refused(world, world.builder().publish_policy(changed, world.approvers()), R.POLICY_DESTINATION)


def test_a_gate_that_was_shown_other_values_decided_about_nothing() -> None:
    """Otherwise a requester could show the gate a harmless text and have the ledger log the record's real one."""
    world = Busy()
    asset, batch, lock = world.prepare_exports()
    for kind, record in (("AssetClaim", asset), ("TelemetryClaim", batch), ("UnitLockClaim", lock)):
        decision = world.decision(kind, record)
        shown = values_hash([("unit_count", "1")])
        assert_refused(world, world.export(replace(decision, values_hash=shown)), R.DECISION_MISMATCH)
        world.ok(world.export(decision))


def test_an_aggregate_of_too_few_readings_is_refused() -> None:
    world = Busy()
    world.prepare_exports()
    single = world.ok(world.telemetry(world.readings(1, first=20))).record_id
    assert_refused(world, world.export(world.decision("TelemetryClaim", single)), R.INTERVAL_TOO_SMALL)
    pair = world.ok(world.telemetry(world.readings(1, first=21))).record_id
    world.ok(world.export(world.decision("TelemetryClaim", single, pair)))


def test_a_lock_is_not_exported_after_it_expired(busy: Busy) -> None:
    world = busy.fork()
    decision = world.decision("UnitLockClaim", world.ids["lock-2"], valid_until_ms=NOW + 9 * DAY)
    world.now_ms = NOW + DAY - 200
    assert_refused(world, world.export(decision), R.LOCK_EXPIRED)
    earlier = busy.fork()
    earlier.now_ms = NOW + DAY - 201
    earlier.ok(earlier.export(decision))


def test_a_claim_that_the_policy_does_not_give_whole_is_refused(busy: Busy) -> None:
    """Each claim needs every rule of its fixed part; dropping or weakening any one of them refuses the claim."""
    records = {"AssetClaim": "asset-3", "TelemetryClaim": "batch-2", "UnitLockClaim": "lock-2"}
    for kind, needed in REQUIRED.items():
        for record_type, field, _ in needed:
            world = busy.fork()
            rules = tuple(r for r in RULES if (r.record_type, r.field) != (record_type, field))
            assert len(rules) == len(RULES) - 1
            world.ok(world.builder().publish_policy(world.policy(version=2, rules=rules), world.approvers()))
            decision = world.decision(kind, world.ids[records[kind]], policy_version=2)
            assert_refused(world, world.export(decision), R.FIELD_NOT_ALLOWED)


def test_a_weaker_transform_than_the_claim_shows_is_refused(busy: Busy) -> None:
    world = busy.fork()
    rules = tuple(
        replace(r, transform=Transform.PSEUDONYM) if (r.record_type, r.field) == ("lock", "units") else r for r in RULES
    )
    world.ok(world.builder().publish_policy(world.policy(version=2, rules=rules), world.approvers()))
    decision = world.decision("UnitLockClaim", world.ids["lock-2"], policy_version=2)
    assert_refused(world, world.export(decision), R.FIELD_NOT_ALLOWED)


def test_limits_themselves_are_allowed(busy: Busy) -> None:
    """The values next to the refused ones."""
    world = busy.fork()
    world.ok(world.lock(lock_id="lock-009", units=1_000_000 - 15_000, expires_at_ms=world.now_ms + 201))
    last = world.readings(1, first=8)[0].time_ms
    world.ok(world.telemetry([Reading(9, last + QUARTER, 120_000, 480_000, 0, 0)]))
    world.ok(world.telemetry([Reading(10, last + 2 * QUARTER, 0, -20_000, 0, 0)]))
    world.ok(world.telemetry([Reading(11, last + 2 * QUARTER + 30_000, 4_000, 0, 0, 0)]))
    world.ok(world.telemetry([Reading(2**53 - 1, world.now_ms + 200 + 120_000, 0, 0, 0, 0)]))
    world.ok(world.asset(asset_id="x" * 64, capacity_w=10**11, unit_count=10**12, legal_owner="x" * 200))
    world.ok(
        world.register_device(
            device_id="abc",
            device_key=PrivateKey.generate(),
            rated_power_w=10**11,
            interval_ms=DAY,
            serial="x" * 200,
        )
    )
    world.ok(world.admit_new(qualification_reference="Q" * 200))


def test_the_largest_batch_is_allowed(busy: Busy) -> None:
    world = busy.fork()
    world.now_ms += 20 * DAY
    result = world.ok(world.telemetry(world.readings(MAX_BATCH, first=9)))
    assert result.flagged == ()


def test_a_reading_may_cover_a_gap_and_is_flagged(busy: Busy) -> None:
    world = busy.fork()
    late = _next(world)
    late = late._replace(time_ms=late.time_ms + QUARTER, energy_wh=240_000)
    assert world.ok(world.telemetry([late])).flagged == ((9, ("GAP",)),)
    other = busy.fork()
    assert_refused(other, other.telemetry([late._replace(energy_wh=240_001)]), R.ENERGY_OUTSIDE_NAMEPLATE)


def test_more_readings_than_the_interval_allows_do_not_count_its_energy_again(busy: Busy) -> None:
    """A device may report earlier than it declared, but then of the time that has passed and no more."""
    world = busy.fork()
    half_minute = _next(world)._replace(time_ms=_next(world).time_ms - QUARTER + 30_000, energy_wh=4_000)
    assert_refused(world, world.telemetry([half_minute._replace(energy_wh=4_001)]), R.ENERGY_OUTSIDE_NAMEPLATE)
    full = [half_minute._replace(sequence=9 + i, time_ms=half_minute.time_ms + i, energy_wh=120_000) for i in range(9)]
    assert_refused(world, world.telemetry(full), R.ENERGY_OUTSIDE_NAMEPLATE)
    world.ok(world.telemetry([half_minute]))


def test_no_amount_of_energy_halts_the_ledger(busy: Busy) -> None:
    """A device that was silent since 1970 may claim more than canonical JSON can hold: refused, not raised."""
    world = busy.fork()
    key = PrivateKey.generate()
    world.ok(world.register_device(device_id="inverter-9", device_key=key, rated_power_w=10**11, interval_ms=DAY))
    world.ok(world.telemetry([Reading(1, 1, 0, 0, 0, 0)], device_id="inverter-9", device_key=key))
    huge = Reading(2, NOW, 2**53, 0, 0, 0)
    assert_refused(world, world.telemetry([huge], device_id="inverter-9", device_key=key), R.BAD_VALUE)


def test_refusals_are_errors_of_the_input() -> None:
    error = TransactionRefused(R.NO_UNITS, "text", subject="s", hint="h")
    assert isinstance(error, Rejected)
    assert str(error) == "NO_UNITS: text [s] -> h"


def test_explanations_in_results_are_short_and_printable(busy: Busy) -> None:
    world = busy.fork()
    result = world.run(world.asset(asset_id="plant-009", profile="g\x00\x1b[2Jold" + "x" * 5000))
    assert result.code == "UNKNOWN_PROFILE"
    assert result.message.isprintable()
    assert len(result.message) <= 1000
