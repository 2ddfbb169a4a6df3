"""Rules for assets, devices and locks."""

from __future__ import annotations

import datetime
import re
import unicodedata

from lianqiao_base.errors import Rejected
from mainland_chain.records.divisions import is_division
from mainland_chain.records.record import Record, make_record
from mainland_chain.records.schemas import ASSET, Grade
from mainland_chain.state.entities import Asset, Device, Lock, Member, Role
from mainland_chain.state.governance import MAX_TEXT, check_identifier, claim_key
from mainland_chain.state.refusals import Refusal, TransactionRefused
from mainland_chain.state.transactions import LockUnits, RegisterAsset, RegisterDevice
from mainland_chain.state.view import Overlay, asset_key, device_key, lock_key

PROFILES = ("pv_revenue_right",)
MAX_UNITS = 10**12
MAX_POWER_W = 10**11
MAX_INTERVAL_MS = 24 * 3_600_000
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def require_core(member: Member) -> None:
    if member.role is not Role.CORE:
        raise TransactionRefused(
            Refusal.ROLE_NOT_ALLOWED, f"a {member.role.name} member may not do this", subject=member.member_id
        )


def _text(name: str, value: str) -> str:
    """That it is in normal form C, the record's encoding demands."""
    controls = any(unicodedata.category(c) in ("Cc", "Cf") for c in value)
    if not value.strip() or len(value) > MAX_TEXT or controls:
        raise TransactionRefused(
            Refusal.BAD_VALUE, f"text of 1 to {MAX_TEXT} characters without control characters is needed", subject=name
        )
    return value


def _number(name: str, value: int, maximum: int) -> int:
    if not 1 <= value <= maximum:
        raise TransactionRefused(Refusal.BAD_VALUE, f"must lie in 1..{maximum}", subject=name)
    return value


def build_record(record_type: str, seed: bytes, values: dict[str, int | str | bytes], **kwargs: object) -> Record:
    """A record, with encoding errors as refusals."""
    try:
        return make_record(record_type, seed, values, **kwargs)  # type: ignore[arg-type]
    except Rejected as error:
        raise TransactionRefused(Refusal.BAD_VALUE, error.message, subject=error.subject) from error


def owned_asset(overlay: Overlay, asset_id: str, member: Member) -> Asset:
    asset = overlay.get(Asset, asset_key(asset_id))
    if asset is None:
        raise TransactionRefused(Refusal.UNKNOWN_ASSET, "no such asset", subject=asset_id)
    if asset.organisation_id != member.organisation_id:
        raise TransactionRefused(Refusal.NOT_THE_OWNER, "the asset belongs to another organisation", subject=asset_id)
    return asset


def register_asset(overlay: Overlay, body: RegisterAsset, member: Member, record_id: bytes) -> Record:
    """A new asset right, divided into units."""
    require_core(member)
    check_identifier(body.asset_id)
    if overlay.state(asset_key(body.asset_id)) is not None:
        raise TransactionRefused(Refusal.ASSET_EXISTS, "the asset exists", subject=body.asset_id)
    if body.profile not in PROFILES:
        raise TransactionRefused(
            Refusal.UNKNOWN_PROFILE, f"unknown profile; known: {', '.join(PROFILES)}", subject=body.profile[:64]
        )
    if not is_division(body.division_code):
        raise TransactionRefused(
            Refusal.BAD_VALUE, "not a six-digit GB/T 2260 code of a known province", subject="division_code"
        )
    if not _valid_date(body.commissioning_date):
        raise TransactionRefused(Refusal.BAD_VALUE, "not a date YYYY-MM-DD", subject="commissioning_date")
    names = [f.name for f in body.sealed]
    if len(set(names)) != len(names) or not set(names) <= ASSET.names(Grade.HIGH):
        raise TransactionRefused(
            Refusal.BAD_SEALED_FIELD,
            f"sealed fields are {', '.join(sorted(ASSET.names(Grade.HIGH)))}, each once",
            subject=body.asset_id,
        )
    record = build_record(
        "asset",
        body.record_seed,
        {
            "asset_id": body.asset_id,
            "capacity_w": _number("capacity_w", body.capacity_w, MAX_POWER_W),
            "commissioning_date": body.commissioning_date,
            "division_code": body.division_code,
            "legal_owner": _text("legal_owner", body.legal_owner),
            "plant_name": _text("plant_name", body.plant_name),
            "profile": body.profile,
            "unit_count": _number("unit_count", body.unit_count, MAX_UNITS),
        },
        sealed=body.sealed,
    )
    overlay.put(asset_key(body.asset_id), Asset(body.asset_id, member.organisation_id, record_id, body.unit_count, 0))
    return record


def _valid_date(value: str) -> bool:
    if not _DATE.fullmatch(value):
        return False
    try:
        datetime.date.fromisoformat(value)
    except ValueError:
        return False
    return True


def register_device(overlay: Overlay, body: RegisterDevice, member: Member, record_id: bytes) -> Record:
    """A new device with its nameplate (SunSpec model 1)."""
    require_core(member)
    check_identifier(body.device_id)
    owned_asset(overlay, body.asset_id, member)
    if overlay.state(device_key(body.device_id)) is not None:
        raise TransactionRefused(Refusal.DEVICE_EXISTS, "the device exists", subject=body.device_id)
    record = build_record(
        "device",
        body.record_seed,
        {
            "asset_id": body.asset_id,
            "device_id": body.device_id,
            "interval_ms": _number("interval_ms", body.interval_ms, MAX_INTERVAL_MS),
            "manufacturer": _text("manufacturer", body.manufacturer),
            "model": _text("model", body.model),
            "rated_power_w": _number("rated_power_w", body.rated_power_w, MAX_POWER_W),
            "serial": _text("serial", body.serial),
        },
    )
    claim_key(overlay, body.public_key, body.device_id)
    overlay.put(
        device_key(body.device_id),
        Device(
            body.device_id,
            body.asset_id,
            member.organisation_id,
            record_id,
            body.public_key,
            body.rated_power_w,
            body.interval_ms,
            body.signing_mode,
        ),
    )
    return record


def lock_units(overlay: Overlay, body: LockUnits, member: Member, record_id: bytes, now_ms: int) -> Record:
    """Lock units of an asset in favour of an issuer at a destination."""
    require_core(member)
    check_identifier(body.lock_id)
    asset = owned_asset(overlay, body.asset_id, member)
    if overlay.state(lock_key(body.lock_id)) is not None:
        raise TransactionRefused(Refusal.DOUBLE_LOCK, "the lock exists", subject=body.lock_id)
    if body.units == 0:
        raise TransactionRefused(Refusal.NO_UNITS, "a lock needs at least one unit", subject=body.lock_id)
    free = asset.unit_count - asset.locked_units
    if body.units > free:
        raise TransactionRefused(
            Refusal.UNITS_EXCEEDED,
            f"{body.units} units asked, {free} of {asset.unit_count} are free",
            subject=body.asset_id,
            data={"free": str(free)},
        )
    if not body.filing_reference.strip() or len(body.filing_reference) > MAX_TEXT:
        raise TransactionRefused(
            Refusal.FILING_MISSING, "a lock for an offshore issue needs its filing reference", subject=body.lock_id
        )
    if body.expires_at_ms <= now_ms:
        raise TransactionRefused(Refusal.LOCK_EXPIRED, "the lock would expire before it begins", subject=body.lock_id)
    if len(body.issuer) != 20 or body.issuer == bytes(20) or len(body.destination) != 32:
        raise TransactionRefused(
            Refusal.BAD_ISSUER, "a 20-byte issuer address and a 32-byte destination are needed", subject=body.lock_id
        )
    record = build_record(
        "lock",
        body.record_seed,
        {
            "asset_id": body.asset_id,
            "destination": body.destination,
            "expires_at_ms": body.expires_at_ms,
            "filing_reference": _text("filing_reference", body.filing_reference),
            "issuer": body.issuer,
            "lock_id": body.lock_id,
            "units": body.units,
        },
    )
    overlay.put(lock_key(body.lock_id), Lock(body.lock_id, body.asset_id, record_id, body.units))
    overlay.put(
        asset_key(body.asset_id),
        Asset(
            asset.asset_id, asset.organisation_id, asset.record_id, asset.unit_count, asset.locked_units + body.units
        ),
    )
    return record
