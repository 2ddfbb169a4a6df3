"""IVMS101.2023 data of a transfer: the shapes and text types. Constraints over them are in `ivms_rules`.

Source: interVASP messaging standard IVMS101.2023. Text is printable ASCII except in local and phonetic names. Only the
payload's shape is refused here; what is merely absent is for the transfer gate to ask for. Everything here is personal
data: no model shows its content in a repr, and errors name the place and the rule, never the value.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from lianqiao_base.canonical import Json
from lianqiao_base.errors import Rejected

MAX_IDENTITY_BYTES = 64 * 1024

Max16 = Annotated[str, Field(pattern=r"^[ -~]{1,16}$")]
Max35 = Annotated[str, Field(pattern=r"^[ -~]{1,35}$")]
Max50 = Annotated[str, Field(pattern=r"^[ -~]{1,50}$")]
Max70 = Annotated[str, Field(pattern=r"^[ -~]{1,70}$")]
Max100 = Annotated[str, Field(pattern=r"^[ -~]{1,100}$")]
Max512 = Annotated[str, Field(pattern=r"^[ -~]{1,512}$")]
Local100 = Annotated[str, Field(pattern=r"^[^\n]{1,100}$")]
CountryCode = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
NaturalNameType = Literal["ALIA", "BIRT", "MAID", "LEGL", "MISC"]
LegalNameType = Literal["LEGL", "SHRT", "TRAD"]


class _Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, hide_input_in_errors=True, strict=True
    )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: personal data>"

    __str__ = __repr__


class NaturalPersonNameId(_Model):
    """A name of a natural person in Latin letters."""

    primary_identifier: Max100
    secondary_identifier: Max100 | None = None
    natural_person_name_identifier_type: NaturalNameType


class LocalNaturalPersonNameId(_Model):
    """A name of a natural person in its own script, or as it sounds."""

    primary_identifier: Local100
    secondary_identifier: Local100 | None = None
    name_identifier_type: NaturalNameType


class NaturalPersonName(_Model):
    """All names of a natural person."""

    name_identifier: tuple[NaturalPersonNameId, ...] = ()
    local_name_identifier: tuple[LocalNaturalPersonNameId, ...] = ()
    phonetic_name_identifier: tuple[LocalNaturalPersonNameId, ...] = ()


class LegalPersonNameId(_Model):
    """A name of a legal person in Latin letters."""

    legal_person_name: Max100
    legal_person_name_identifier_type: LegalNameType


class LocalLegalPersonNameId(_Model):
    """A name of a legal person in its own script, or as it sounds."""

    legal_person_name: Local100
    legal_person_name_identifier_type: LegalNameType


class LegalPersonName(_Model):
    """All names of a legal person."""

    name_identifier: tuple[LegalPersonNameId, ...] = ()
    local_name_identifier: tuple[LocalLegalPersonNameId, ...] = ()
    phonetic_name_identifier: tuple[LocalLegalPersonNameId, ...] = ()


class Address(_Model):
    """A postal address (C8 says what it needs)."""

    address_type: Literal["HOME", "BIZZ", "GEOG"]
    department: Max50 | None = None
    sub_department: Max70 | None = None
    street_name: Max70 | None = None
    building_number: Max16 | None = None
    building_name: Max35 | None = None
    floor: Max70 | None = None
    post_box: Max16 | None = None
    room: Max70 | None = None
    postcode: Max16 | None = None
    town_name: Max35 | None = None
    town_location_name: Max35 | None = None
    district_name: Max35 | None = None
    country_sub_division: Max35 | None = None
    address_line: Annotated[tuple[Max70, ...], Field(max_length=7)] = ()
    country: CountryCode | None = None


class NationalIdentification(_Model):
    """An identifier given by a state or registrar."""

    national_identifier: Max35
    national_identifier_type: Literal["ARNU", "CCPT", "RAID", "DRLC", "FIIN", "TXID", "SOCS", "IDCD", "LEIX", "MISC"]
    country_of_issue: CountryCode | None = None
    registration_authority: Max16 | None = None


class DateAndPlaceOfBirth(_Model):
    """Date and place of birth."""

    date_of_birth: datetime.date
    place_of_birth: Max70


class NaturalPerson(_Model):
    """A human being."""

    name: NaturalPersonName = NaturalPersonName()
    geographic_address: tuple[Address, ...] = ()
    national_identification: NationalIdentification | None = None
    customer_identification: Max50 | None = None
    date_and_place_of_birth: DateAndPlaceOfBirth | None = None
    country_of_residence: CountryCode | None = None


class LegalPerson(_Model):
    """An organisation with rights of its own."""

    name: LegalPersonName = LegalPersonName()
    geographic_address: tuple[Address, ...] = ()
    customer_identification: Max50 | None = None
    national_identification: NationalIdentification | None = None
    country_of_registration: CountryCode | None = None


class Person(_Model):
    """Either a natural or a legal person, with its accounts (wallets)."""

    natural_person: NaturalPerson | None = None
    legal_person: LegalPerson | None = None
    account_number: tuple[Max512, ...] = ()

    @model_validator(mode="after")
    def _one_of_two(self) -> Person:
        if (self.natural_person is None) == (self.legal_person is None):
            raise ValueError("a person is either natural or legal")
        return self


class Originator(_Model):
    """Who sends. For a mint: the issuer that asks for it."""

    originator_person: tuple[Person, ...] = ()


class Beneficiary(_Model):
    """Who receives."""

    beneficiary_person: tuple[Person, ...] = ()


class OriginatingVasp(_Model):
    """The institution on the sending side."""

    originating_vasp: Annotated[Person | None, Field(alias="originatingVASP")] = None


class BeneficiaryVasp(_Model):
    """The institution on the receiving side."""

    beneficiary_vasp: Annotated[Person | None, Field(alias="beneficiaryVASP")] = None


class PayloadMetadata(_Model):
    """Version of the payload and how names were written in Latin letters."""

    payload_version: Literal["101.2023"]
    transliteration_method: tuple[
        Literal["arab", "aran", "armn", "cyrl", "deva", "geor", "grek", "hani", "hebr", "kana", "kore", "thai", "othr"],
        ...,
    ] = ()


class IdentityPayload(_Model):
    """The Travel Rule data of one transfer."""

    originator: Originator = Originator()
    beneficiary: Beneficiary = Beneficiary()
    originating_vasp: Annotated[OriginatingVasp, Field(alias="originatingVASP")] = OriginatingVasp()
    beneficiary_vasp: Annotated[BeneficiaryVasp, Field(alias="beneficiaryVASP")] = BeneficiaryVasp()
    payload_metadata: PayloadMetadata

    def to_json(self) -> Json:
        """Canonical content: personal data, for the Hong Kong store only."""
        return cast("Json", self.model_dump(mode="json", by_alias=True, exclude_defaults=True))


def parse_identity(data: bytes) -> IdentityPayload:
    """Read IVMS101.2023 JSON.

    Raises `Rejected("IVMS_INVALID")` with the place and kind of each fault (up to ten), never a value.
    """
    if len(data) > MAX_IDENTITY_BYTES:
        raise Rejected("IVMS_INVALID", f"larger than {MAX_IDENTITY_BYTES} bytes")
    try:
        return IdentityPayload.model_validate_json(data)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)[:10]
        places = {_place(fault["loc"]): str(fault["type"]) for fault in faults}
    # Raised outside the handler: a chained validation error could show the input in a traceback.
    raise Rejected(
        "IVMS_INVALID",
        "not IVMS101.2023: " + "; ".join(f"{place}: {kind}" for place, kind in places.items()),
        hint="correct the data at these places",
        data=places,
    )


_KNOWN = frozenset(
    name
    for model in (
        NaturalPersonNameId, LocalNaturalPersonNameId, NaturalPersonName, LegalPersonNameId, LegalPersonName, Address,
        NationalIdentification, DateAndPlaceOfBirth, NaturalPerson, LegalPerson, Person, Originator, Beneficiary,
        OriginatingVasp, BeneficiaryVasp, PayloadMetadata, IdentityPayload,
    )
    for name in (field.alias or key for key, field in model.model_fields.items())
)  # fmt: skip


def _place(loc: tuple[int | str, ...]) -> str:
    # An unknown key is the sender's own text and may itself be personal: only names of the standard are repeated.
    parts = [str(part) if isinstance(part, int) or part in _KNOWN else "unknown-key" for part in loc]
    return ".".join(parts) or "payload"
