"""Constraints C1 to C11 of IVMS101.2023 that concern originator, beneficiary and their institutions. Pure.

C12 is about transfer paths, which a mint order does not have. Each fault names the constraint and the exact path, never
a value.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from stdnum import lei

from compliance.transfer.ivms import (
    Address,
    IdentityPayload,
    LegalPerson,
    NationalIdentification,
    NaturalPerson,
    Person,
)

_COUNTRIES = frozenset(
    resources.files("compliance.transfer").joinpath("data/iso3166-alpha2.txt").read_text("ascii").split()
) | {"XX"}
_LEGAL_ID_TYPES = frozenset({"RAID", "MISC", "LEIX", "TXID"})
_AUTHORITY = re.compile(r"RA[0-9]{6}", re.ASCII)
_LEI = re.compile(r"[0-9A-Z]{18}[0-9]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fault:
    """A constraint not met: its number, where, and what is asked for."""

    constraint: str
    path: str
    problem: str


def persons(identity: IdentityPayload) -> Iterator[tuple[str, Person]]:
    """Everybody in the payload with the path to them."""
    for i, person in enumerate(identity.originator.originator_person):
        yield f"originator.originatorPerson[{i}]", person
    for i, person in enumerate(identity.beneficiary.beneficiary_person):
        yield f"beneficiary.beneficiaryPerson[{i}]", person
    if identity.originating_vasp.originating_vasp is not None:
        yield "originatingVASP.originatingVASP", identity.originating_vasp.originating_vasp
    if identity.beneficiary_vasp.beneficiary_vasp is not None:
        yield "beneficiaryVASP.beneficiaryVASP", identity.beneficiary_vasp.beneficiary_vasp


def check_form(identity: IdentityPayload, today: datetime.date) -> tuple[Fault, ...]:
    """C2, C3 and C5 to C11 for everybody in the payload. `today` is the UTC day of the decision."""
    faults: list[Fault] = []
    for path, person in persons(identity):
        if person.natural_person is not None:
            faults.extend(_natural(f"{path}.naturalPerson", person.natural_person, today))
        if person.legal_person is not None:
            faults.extend(_legal(f"{path}.legalPerson", person.legal_person))
    return tuple(faults)


def identification_fault(path: str, person: Person) -> Fault | None:
    """C1 (natural:

    any address, customer or national identification, or birth) and C4 (legal: a GEOG address or identification).
    """
    if natural := person.natural_person:
        given = (
            natural.geographic_address,
            natural.customer_identification,
            natural.national_identification,
            natural.date_and_place_of_birth,
        )
        options = "geographicAddress|customerIdentification|nationalIdentification|dateAndPlaceOfBirth"
        return None if any(given) else Fault("C1", f"{path}.naturalPerson.({options})", "one of these is needed")
    legal = person.legal_person
    if legal is not None and (
        any(address.address_type == "GEOG" for address in legal.geographic_address)
        or legal.customer_identification
        or legal.national_identification
    ):
        return None
    options = "geographicAddress[GEOG]|customerIdentification|nationalIdentification"
    return Fault("C4", f"{path}.legalPerson.({options})", "one of these is needed")


def has_legal_name(person: Person) -> bool:
    """C5 and C6: at least one name of type LEGL."""
    if person.natural_person is not None:
        names = person.natural_person.name
        return any(n.natural_person_name_identifier_type == "LEGL" for n in names.name_identifier)
    legal = person.legal_person
    return legal is not None and any(n.legal_person_name_identifier_type == "LEGL" for n in legal.name.name_identifier)


def name_path(path: str, person: Person) -> str:
    """Where the legal name of a person belongs."""
    return f"{path}.{'naturalPerson' if person.natural_person is not None else 'legalPerson'}.name.nameIdentifier[LEGL]"


def _natural(path: str, person: NaturalPerson, today: datetime.date) -> Iterator[Fault]:
    names = person.name
    if not any(name.natural_person_name_identifier_type == "LEGL" for name in names.name_identifier):
        yield Fault("C6", f"{path}.name.nameIdentifier", "at least one name of type LEGL is needed")
    birth = person.date_and_place_of_birth
    if birth is not None and birth.date_of_birth >= today:
        yield Fault("C2", f"{path}.dateAndPlaceOfBirth.dateOfBirth", "the date of birth must lie in the past")
    yield from _addresses(path, person.geographic_address)
    yield from _country(f"{path}.countryOfResidence", person.country_of_residence)
    if person.national_identification is not None:
        where = f"{path}.nationalIdentification"
        yield from _country(f"{where}.countryOfIssue", person.national_identification.country_of_issue)
        yield from _authority(where, person.national_identification)
        yield from _lei(where, person.national_identification)


def _legal(path: str, person: LegalPerson) -> Iterator[Fault]:
    if not any(name.legal_person_name_identifier_type == "LEGL" for name in person.name.name_identifier):
        yield Fault("C5", f"{path}.name.nameIdentifier", "at least one name of type LEGL is needed")
    yield from _addresses(path, person.geographic_address)
    yield from _country(f"{path}.countryOfRegistration", person.country_of_registration)
    identification = person.national_identification
    if identification is None:
        return
    where = f"{path}.nationalIdentification"
    if identification.national_identifier_type not in _LEGAL_ID_TYPES:
        yield Fault("C7", f"{where}.nationalIdentifierType", "a legal person's identifier is RAID, MISC, LEIX or TXID")
    if identification.country_of_issue is not None:
        yield Fault("C9", f"{where}.countryOfIssue", "a legal person's identifier has no country of issue")
    is_lei = identification.national_identifier_type == "LEIX"
    if is_lei == (identification.registration_authority is not None):
        need = "must be absent for LEIX" if is_lei else "is needed unless the type is LEIX"
        yield Fault("C9", f"{where}.registrationAuthority", f"the registration authority {need}")
    yield from _authority(where, identification)
    yield from _lei(where, identification)


def _addresses(path: str, addresses: tuple[Address, ...]) -> Iterator[Fault]:
    for i, address in enumerate(addresses):
        where = f"{path}.geographicAddress[{i}]"
        building = address.street_name and (address.building_name or address.building_number)
        if not address.address_line and not building:
            yield Fault("C8", f"{where}.(addressLine|streetName+building)", "a line, or street and building, is needed")
        if address.town_name is None:
            yield Fault("C8", f"{where}.townName", "the town is needed")
        if address.country is None:
            yield Fault("C8", f"{where}.country", "the country is needed")
        yield from _country(f"{where}.country", address.country)


def _country(path: str, code: str | None) -> Iterator[Fault]:
    if code is not None and code not in _COUNTRIES:
        yield Fault("C3", path, "not an ISO 3166-1 alpha-2 code or XX")


def _authority(path: str, identification: NationalIdentification) -> Iterator[Fault]:
    authority = identification.registration_authority
    if authority is not None and not _AUTHORITY.fullmatch(authority):
        yield Fault("C10", f"{path}.registrationAuthority", "a registration authority is RA and six digits")


def _lei(path: str, identification: NationalIdentification) -> Iterator[Fault]:
    number = identification.national_identifier
    if identification.national_identifier_type == "LEIX" and not (_LEI.fullmatch(number) and lei.is_valid(number)):
        yield Fault("C11", f"{path}.nationalIdentifier", "not a legal entity identifier with valid check digits")
