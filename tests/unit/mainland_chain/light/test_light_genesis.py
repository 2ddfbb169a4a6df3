"""Genesis documents: one encoding, one chain id, and every rule of a founding committee."""

from __future__ import annotations

import dataclasses
import json

import pytest

from lianqiao_base import canonical
from lianqiao_base.errors import Rejected
from mainland_chain.crypto.sm2 import PrivateKey
from mainland_chain.crypto.sm3 import sm3
from mainland_chain.light.genesis import Genesis, GenesisMember, GenesisOrganisation, GenesisValidator
from mainland_chain.light.types import org_id

KEYS = [PrivateKey.generate().public_key for _ in range(5)]
ORGANISATIONS = [GenesisOrganisation(f"org-{i}", f"Organisation {i}", "core") for i in range(4)]
REGULATOR = GenesisOrganisation("regulator", "Regulator", "regulator")
MEMBERS = [GenesisMember(f"member-{i}", f"org-{i}", "core", KEYS[i], f"QR-{i}", bytes([i]) * 32) for i in range(4)]
VALIDATORS = [GenesisValidator(f"org-{i}", KEYS[i]) for i in range(4)]


def make(**changes: object) -> Genesis:
    base = Genesis.create("test", 1_700_000_000_000, [*ORGANISATIONS, REGULATOR], MEMBERS, VALIDATORS)
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def test_round_trip_and_chain_id() -> None:
    genesis = make()
    data = genesis.canonical_bytes()
    assert Genesis.decode(data) == genesis
    assert genesis.chain_id == sm3(data) == Genesis.decode(data).chain_id
    assert canonical.loads_strict(data)["epoch"] == 0  # type: ignore[index,call-overload]


def test_validator_set_is_epoch_zero_in_order_of_org_ids() -> None:
    validators = make().validator_set()
    assert (validators.epoch, validators.chain_id, validators.quorum) == (0, make().chain_id, 3)
    assert {m.org_id for m in validators.members} == {org_id(f"org-{i}") for i in range(4)}


def test_create_sorts() -> None:
    assert (
        Genesis.create("test", 1_700_000_000_000, [REGULATOR, *ORGANISATIONS], MEMBERS[::-1], VALIDATORS[::-1])
        == make()
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"created_ms": -1},
        {"created_ms": 2**53},
        {"organisations": (REGULATOR, *ORGANISATIONS)},
        {"organisations": (*ORGANISATIONS, ORGANISATIONS[3])},
        {"organisations": tuple(ORGANISATIONS[:3])},
        {"organisations": (*ORGANISATIONS[:3], GenesisOrganisation("org-3", "x", "credibility"))},
        {"organisations": (*ORGANISATIONS, GenesisOrganisation("z", "x", "king"))},
        {"organisations": (*ORGANISATIONS, GenesisOrganisation("z", "", "core"))},
        {"organisations": (*ORGANISATIONS, GenesisOrganisation("z Z", "x", "core"))},
        {"validators": tuple(VALIDATORS[:3])},
        {"validators": (*VALIDATORS[:3], GenesisValidator("org-3", KEYS[0]))},
        {"validators": (*VALIDATORS[:3], GenesisValidator("org-3", bytes(64)))},
        {"validators": (*VALIDATORS[:3], GenesisValidator("regulator", KEYS[3]))},
        {"validators": (*VALIDATORS[:3], GenesisValidator("unknown", KEYS[3]))},
        {"validators": (*VALIDATORS, GenesisValidator("org-3", KEYS[4]))},
        {"validators": (VALIDATORS[1], VALIDATORS[0], *VALIDATORS[2:])},
        {"members": (dataclasses.replace(MEMBERS[0], organisation_id="nobody"),)},
        {"members": (dataclasses.replace(MEMBERS[0], role="admin"),)},
        {"members": (dataclasses.replace(MEMBERS[0], qualification_reference=""),)},
        {"members": (dataclasses.replace(MEMBERS[0], tls_fingerprint=b"short"),)},
        {"members": (dataclasses.replace(MEMBERS[0], role="regulator"), *MEMBERS[1:])},
        {
            "members": (
                MEMBERS[0],
                dataclasses.replace(MEMBERS[1], tls_fingerprint=MEMBERS[0].tls_fingerprint),
                *MEMBERS[2:],
            )
        },
        {"members": (dataclasses.replace(MEMBERS[0], public_key=bytes(64)),)},
        {"members": (MEMBERS[0], dataclasses.replace(MEMBERS[1], public_key=KEYS[0]))},
        {"members": (MEMBERS[1], MEMBERS[0])},
    ],
)
def test_refuses(changes: dict[str, object]) -> None:
    with pytest.raises(Rejected) as caught:
        make(**changes)
    assert caught.value.code == "BAD_GENESIS"


def _edited(edit: object) -> bytes:
    document = make().to_json()
    edit(document)  # type: ignore[operator]
    return canonical.dumps(document)


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d.update(epoch=1),
        lambda d: d.update(epoch=False),
        lambda d: d.update(extra=1),
        lambda d: d.pop("name"),
        lambda d: d.update(created_ms="1"),
        lambda d: d.update(created_ms=True),
        lambda d: d.update(members={}),
        lambda d: d.update(organisations=[1]),
        lambda d: d["organisations"][0].update(extra="x"),
        lambda d: d["members"][0].update(extra="x"),
        lambda d: d["members"][0].update(role=1),
        lambda d: d["validators"][0].update(public_key=d["validators"][0]["public_key"].upper()),
        lambda d: d["validators"][0].update(public_key="zz"),
    ],
)
def test_decode_refuses_documents_that_say_something_else(edit: object) -> None:
    with pytest.raises(Rejected) as caught:
        Genesis.decode(_edited(edit))
    assert caught.value.code == "BAD_GENESIS"


def test_decode_refuses_other_spellings() -> None:
    with pytest.raises(Rejected) as caught:
        Genesis.decode(json.dumps(make().to_json()).encode())
    assert caught.value.code == "NOT_CANONICAL"
    with pytest.raises(Rejected):
        Genesis.decode(b"[]")
    with pytest.raises(Rejected):
        Genesis.decode(b" " * 300_000)
