"""JSON documents of `lianqiao ledger submit`, checked strictly, made into signed transactions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from lianqiao_base.errors import Rejected
from mainland_chain.crypto.protocols import Signer
from mainland_chain.records.reading import Reading
from mainland_chain.records.sealing import seal_field
from mainland_chain.state.entities import SigningMode
from mainland_chain.transaction_builder import BuiltTransaction, TransactionBuilder

_U63 = Annotated[int, Field(ge=0, lt=2**63)]
_Hex32 = Annotated[str, Field(pattern=r"^(0x)?[0-9a-fA-F]{64}$")]
_Hex20 = Annotated[str, Field(pattern=r"^(0x)?[0-9a-fA-F]{40}$")]
_Mode = Literal["reading", "batch"]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class AssetDocument(_Document):
    """A revenue right over one plant. `sealed` holds the contact fields in clear: they are sealed here and never sent."""

    type: Literal["asset"]
    asset_id: str
    plant_name: str
    capacity_w: _U63
    division_code: str
    commissioning_date: str
    legal_owner: str
    unit_count: _U63
    sealed: dict[Literal["contact_id_number", "contact_name", "contact_phone"], str] = {}


class DeviceDocument(_Document):
    """A meter or inverter of an asset. Its SM2 key is in the device keystore under `device_id`."""

    type: Literal["device"]
    device_id: str
    asset_id: str
    manufacturer: str
    model: str
    serial: str
    rated_power_w: _U63
    interval_ms: _U63
    signing_mode: _Mode


class ReadingDocument(_Document):
    """One interval; `time_ms` is its end."""

    sequence: _U63
    time_ms: _U63
    energy_wh: Annotated[int, Field(ge=-(2**63), lt=2**63)]
    power_w: Annotated[int, Field(ge=-(2**31), lt=2**31)]
    irradiance_w_m2: Annotated[int, Field(ge=0, lt=2**32)] = 0
    flags: Annotated[int, Field(ge=0, lt=2**32)] = 0


class TelemetryDocument(_Document):
    """Readings in order, signed here with the device's key."""

    type: Literal["telemetry"]
    device_id: str
    signing_mode: _Mode
    readings: Annotated[list[ReadingDocument], Field(min_length=1)]


class LockDocument(_Document):
    """Units set aside for one issuer at one MintController."""

    type: Literal["lock"]
    lock_id: str
    asset_id: str
    units: _U63
    destination: _Hex32
    issuer: _Hex20
    filing_reference: str
    expires_at_ms: _U63


Document = Annotated[AssetDocument | DeviceDocument | TelemetryDocument | LockDocument, Field(discriminator="type")]
_ADAPTER: TypeAdapter[Document] = TypeAdapter(Document)


def parse_document(data: bytes, subject: str) -> Document:
    """Raises `Rejected("BAD_DOCUMENT")` that names every wrong field, never its value."""
    try:
        return _ADAPTER.validate_json(data)
    except ValidationError as error:
        problems = "; ".join(f"{_place(e['loc'])}: {e['msg']}" for e in error.errors(include_input=False))
        raise Rejected(
            "BAD_DOCUMENT", problems, subject=subject, hint="see `lianqiao ledger submit --help` for an example"
        ) from None


def _place(location: Sequence[int | str]) -> str:
    return ".".join(map(str, location)) or "document"


def build(
    document: Document,
    builder: TransactionBuilder,
    device_key: Callable[[str], Signer],
    sealing_key: Callable[[], bytes],
) -> BuiltTransaction:
    """The signed transaction. Keys are asked for only where they are needed."""
    match document:
        case AssetDocument():
            fields = document.model_dump(exclude={"type", "sealed"})
            key = sealing_key() if document.sealed else b""
            sealed = [seal_field(key, name, value) for name, value in sorted(document.sealed.items())]
            return builder.register_asset(**fields, sealed=sealed)
        case DeviceDocument():
            fields = document.model_dump(exclude={"type", "signing_mode"})
            mode = SigningMode[document.signing_mode.upper()]
            return builder.register_device(**fields, signing_mode=mode, device_key=device_key(document.device_id))
        case TelemetryDocument():
            return builder.submit_telemetry(
                device_id=document.device_id,
                device_key=device_key(document.device_id),
                signing_mode=SigningMode[document.signing_mode.upper()],
                readings=[Reading(**r.model_dump()) for r in document.readings],
            )
        case LockDocument():
            fields = document.model_dump(exclude={"type", "destination", "issuer"})
            return builder.lock_units(
                **fields,
                destination=bytes.fromhex(document.destination.removeprefix("0x")),
                issuer=bytes.fromhex(document.issuer.removeprefix("0x")),
            )
