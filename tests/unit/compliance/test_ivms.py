"""IVMS101.2023: shapes, constraints C1 to C11, and silence about the content."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest

from compliance.transfer.ivms import MAX_IDENTITY_BYTES, IdentityPayload, parse_identity
from compliance.transfer.ivms_rules import check_form, identification_fault
from lianqiao_base.errors import Rejected

TODAY = datetime.date(2026, 11, 18)


def legal(raw: dict[str, Any]) -> dict[str, Any]:
    person: dict[str, Any] = raw["originator"]["originatorPerson"][0]["legalPerson"]
    return person


def natural(raw: dict[str, Any]) -> dict[str, Any]:
    person: dict[str, Any] = raw["beneficiary"]["beneficiaryPerson"][0]["naturalPerson"]
    return person


def test_the_good_one_is_content_and_round_trips(identity: IdentityPayload, identity_json: dict[str, Any]) -> None:
    assert check_form(identity, TODAY) == ()
    assert identity.to_json() == identity_json
    assert parse_identity(json.dumps(identity.to_json()).encode()) == identity


@pytest.mark.parametrize(
    ("change", "constraint", "path"),
    [
        (lambda r: natural(r)["dateAndPlaceOfBirth"].update(dateOfBirth="2026-11-18"), "C2", "dateOfBirth"),
        (lambda r: natural(r).update(countryOfResidence="UK"), "C3", "countryOfResidence"),
        (lambda r: legal(r).update(countryOfRegistration="ZZ"), "C3", "countryOfRegistration"),
        (lambda r: legal(r)["geographicAddress"][0].update(country="AA"), "C3", "geographicAddress[0].country"),
        (
            lambda r: natural(r).update(
                nationalIdentification={
                    "nationalIdentifier": "A1",
                    "nationalIdentifierType": "IDCD",
                    "countryOfIssue": "ZZ",
                }
            ),
            "C3",
            "countryOfIssue",
        ),
        (
            lambda r: legal(r)["name"]["nameIdentifier"][0].update(legalPersonNameIdentifierType="TRAD"),
            "C5",
            "legalPerson.name.nameIdentifier",
        ),
        (lambda r: natural(r)["name"].pop("nameIdentifier"), "C6", "naturalPerson.name.nameIdentifier"),
        (
            lambda r: legal(r).update(
                nationalIdentification={
                    "nationalIdentifier": "A1",
                    "nationalIdentifierType": "CCPT",
                    "registrationAuthority": "RA000388",
                }
            ),
            "C7",
            "nationalIdentifierType",
        ),
        (lambda r: legal(r)["geographicAddress"][0].pop("addressLine"), "C8", "geographicAddress[0].("),
        (
            lambda r: (
                legal(r)["geographicAddress"][0].pop("addressLine"),
                legal(r)["geographicAddress"][0].update(streetName="Example Street"),
            ),
            "C8",
            "geographicAddress[0].(",
        ),
        (lambda r: legal(r)["geographicAddress"][0].pop("townName"), "C8", "townName"),
        (lambda r: legal(r)["geographicAddress"][0].pop("country"), "C8", "geographicAddress[0].country"),
        (lambda r: legal(r)["nationalIdentification"].update(countryOfIssue="HK"), "C9", "countryOfIssue"),
        (
            lambda r: legal(r)["nationalIdentification"].update(registrationAuthority="RA000388"),
            "C9",
            "registrationAuthority",
        ),
        (
            lambda r: legal(r)["nationalIdentification"].update(nationalIdentifierType="RAID"),
            "C9",
            "registrationAuthority",
        ),
        (
            lambda r: legal(r)["nationalIdentification"].update(
                nationalIdentifierType="RAID", registrationAuthority="RA12"
            ),
            "C10",
            "registrationAuthority",
        ),
        (
            lambda r: legal(r)["nationalIdentification"].update(nationalIdentifier="213800WSGIIZCXF1P573"),
            "C11",
            "nationalIdentifier",
        ),
        (
            lambda r: natural(r).update(
                nationalIdentification={"nationalIdentifier": "A1", "nationalIdentifierType": "LEIX"}
            ),
            "C11",
            "nationalIdentifier",
        ),
        (
            lambda r: r["originatingVASP"]["originatingVASP"]["legalPerson"]["name"].pop("nameIdentifier"),
            "C5",
            "originatingVASP.originatingVASP.legalPerson",
        ),
        (
            lambda r: r["beneficiaryVASP"]["beneficiaryVASP"]["legalPerson"]["name"].pop("nameIdentifier"),
            "C5",
            "beneficiaryVASP.beneficiaryVASP.legalPerson",
        ),
    ],
)
def test_each_constraint(
    identity_json: dict[str, Any], read_identity: Any, change: Any, constraint: str, path: str
) -> None:
    change(identity_json)
    faults = check_form(read_identity(identity_json), TODAY)
    assert [fault.constraint for fault in faults] == [constraint]
    assert path in faults[0].path


def test_street_and_building_serve_for_a_line(identity_json: dict[str, Any], read_identity: Any) -> None:
    address = legal(identity_json)["geographicAddress"][0]
    address.pop("addressLine")
    for part in ({"buildingNumber": "1"}, {"buildingName": "Sun House"}):
        address.update(streetName="Example Street", **part)
        assert check_form(read_identity(identity_json), TODAY) == ()


@pytest.mark.parametrize(
    ("kept", "content"),
    [
        ("geographicAddress", True),
        ("nationalIdentification", True),
        ("customerIdentification", True),
        ("", False),
    ],
)
def test_c4_legal_persons(identity_json: dict[str, Any], read_identity: Any, kept: str, content: bool) -> None:
    legal(identity_json)["customerIdentification"] = "C-1"
    for name in {"geographicAddress", "nationalIdentification", "customerIdentification"} - {kept}:
        legal(identity_json).pop(name)
    person = read_identity(identity_json).originator.originator_person[0]
    fault = identification_fault("p", person)
    assert (fault is None) is content
    assert fault is None or (fault.constraint, fault.path.startswith("p.legalPerson.(")) == ("C4", True)


def test_c4_wants_a_geographic_address(identity_json: dict[str, Any], read_identity: Any) -> None:
    legal(identity_json).pop("nationalIdentification")
    legal(identity_json)["geographicAddress"][0]["addressType"] = "BIZZ"
    fault = identification_fault("p", read_identity(identity_json).originator.originator_person[0])
    assert fault is not None
    assert fault.constraint == "C4"


@pytest.mark.parametrize(
    ("given", "content"),
    [
        ({"dateAndPlaceOfBirth": {"dateOfBirth": "1980-02-29", "placeOfBirth": "Hong Kong"}}, True),
        ({"customerIdentification": "C-1"}, True),
        ({"nationalIdentification": {"nationalIdentifier": "A1", "nationalIdentifierType": "IDCD"}}, True),
        ({"geographicAddress": [{"addressType": "HOME"}]}, True),
        ({}, False),
    ],
)
def test_c1_natural_persons(
    identity_json: dict[str, Any], read_identity: Any, given: dict[str, Any], content: bool
) -> None:
    natural(identity_json).pop("dateAndPlaceOfBirth")
    natural(identity_json).update(given)
    fault = identification_fault("p", read_identity(identity_json).beneficiary.beneficiary_person[0])
    assert (fault is None) is content
    assert fault is None or fault.constraint == "C1"


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.pop("payloadMetadata"),
        lambda r: r["payloadMetadata"].update(payloadVersion="101"),
        lambda r: r.update(transferPath={}),
        lambda r: natural(r)["name"]["nameIdentifier"][0].update(primaryIdentifier="陳"),
        lambda r: natural(r)["name"]["nameIdentifier"][0].update(primaryIdentifier="a" * 101),
        lambda r: natural(r)["name"]["nameIdentifier"][0].update(primaryIdentifier="Chan\n"),
        lambda r: natural(r)["name"]["nameIdentifier"][0].update(primaryIdentifier=""),
        lambda r: natural(r)["name"]["nameIdentifier"][0].update(naturalPersonNameIdentifierType="NICK"),
        lambda r: natural(r)["name"]["localNameIdentifier"][0].update(primaryIdentifier="陳" * 101),
        lambda r: natural(r)["dateAndPlaceOfBirth"].update(dateOfBirth="1981-02-29"),
        lambda r: natural(r)["dateAndPlaceOfBirth"].update(placeOfBirth="香港"),
        lambda r: natural(r).update(countryOfResidence="hk"),
        lambda r: legal(r)["geographicAddress"][0].update(addressLine=["x"] * 8),
        lambda r: r["originator"]["originatorPerson"][0].update(naturalPerson={}),
        lambda r: r["originator"]["originatorPerson"][0].pop("legalPerson"),
        lambda r: r["originator"]["originatorPerson"][0].update(accountNumber="x"),
        lambda r: r["originator"]["originatorPerson"][0].update(accountNumber=["x" * 513]),
    ],
)
def test_bad_shapes_are_refused(identity_json: dict[str, Any], change: Any) -> None:
    change(identity_json)
    with pytest.raises(Rejected, match="IVMS_INVALID"):
        parse_identity(json.dumps(identity_json).encode())


def test_local_names_count_characters(identity_json: dict[str, Any], read_identity: Any) -> None:
    natural(identity_json)["name"]["localNameIdentifier"][0]["primaryIdentifier"] = "陳" * 100
    read_identity(identity_json)


def test_too_large_is_refused() -> None:
    with pytest.raises(Rejected, match="larger than"):
        parse_identity(b" " * MAX_IDENTITY_BYTES + b"{}")


def test_content_never_shows(identity: IdentityPayload, identity_json: dict[str, Any]) -> None:
    for shown in (repr(identity), str(identity), f"{identity.beneficiary}", repr([identity.originator])):
        assert "Chan" not in shown
        assert "Harbour" not in shown
    identity_json["Chan Tai Man"] = 1
    natural(identity_json)["name"]["nameIdentifier"][0]["primaryIdentifier"] = "陳大文"
    with pytest.raises(Rejected) as caught:
        parse_identity(json.dumps(identity_json).encode())
    told = f"{caught.value} {caught.value.data} {caught.value.__cause__} {caught.value.__context__}"
    assert "Chan" not in told
    assert "陳" not in told
    assert "naturalPerson.name.nameIdentifier.0.primaryIdentifier" in told
