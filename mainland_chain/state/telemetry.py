"""Rules for telemetry. What is physically impossible is refused; what is only odd is stored with a flag, never dropped."""

from __future__ import annotations

from mainland_chain.records.reading import FLAG_MISSING_CHANNEL, MAX_BATCH, Reading
from mainland_chain.records.record import Record
from mainland_chain.state.assets import require_core
from mainland_chain.state.entities import Batch, Device, DeviceCursor, Member
from mainland_chain.state.refusals import Refusal, TransactionRefused
from mainland_chain.state.signatures import require_device
from mainland_chain.state.transactions import SubmitTelemetry
from mainland_chain.state.view import Overlay, batch_key, cursor_key

FUTURE_TOLERANCE_MS = 120_000
"""Device clocks may run this far ahead of the block time."""
OVERLOAD_PERCENT = 120
"""Inverters may exceed their rating for short times; beyond this the value cannot be true."""
NIGHT_LOAD_PERCENT = 5
"""Own consumption at night, of rated power."""
MAX_IRRADIANCE_W_M2 = 1600
"""Above the strongest cloud-edge enhancement seen on a tilted plane."""
DARK_W_M2 = 5
DARK_POWER_PERCENT = 5
STUCK_REPEATS = 3

Flags = tuple[tuple[int, tuple[str, ...]], ...]


def submit_telemetry(
    overlay: Overlay, body: SubmitTelemetry, member: Member, record_id: bytes, now_ms: int
) -> tuple[Record, Flags]:
    """Anchor one batch. Signatures were verified before."""
    require_core(member)
    device = require_device(overlay, body.device_id)
    if device.organisation_id != member.organisation_id:
        raise TransactionRefused(
            Refusal.NOT_THE_OWNER, "the device belongs to another organisation", subject=body.device_id
        )
    if not body.readings:
        raise TransactionRefused(Refusal.EMPTY_BATCH, "a batch has at least one reading", subject=body.device_id)
    if len(body.readings) > MAX_BATCH:
        raise TransactionRefused(
            Refusal.BATCH_TOO_LARGE, f"a batch has at most {MAX_BATCH} readings", subject=body.device_id
        )
    cursor = overlay.get(DeviceCursor, cursor_key(body.device_id))
    start = cursor.time_ms if cursor else body.readings[0].time_ms - device.interval_ms
    if body.readings[0].time_ms - start > device.interval_ms:
        start = body.readings[0].time_ms - device.interval_ms
    flags = []
    for reading in body.readings:
        _check(reading, device, cursor, now_ms)
        rules = _quality(reading, device, cursor)
        if rules:
            flags.append((reading.sequence, rules))
        cursor = _advance(reading, cursor)
    assert cursor is not None  # noqa: S101 - the batch is not empty
    overlay.put(cursor_key(body.device_id), cursor)
    overlay.put(batch_key(record_id), Batch(device.asset_id, device.device_id, start, cursor.time_ms, len(flags)))
    return body.record(device.asset_id, start), tuple(flags)


def _refuse(refusal: Refusal, message: str, body_device: str, reading: Reading) -> TransactionRefused:
    return TransactionRefused(
        refusal,
        message,
        subject=f"{body_device} reading {reading.sequence}",
        hint="correct or leave out this reading and submit the rest",
        data={"sequence": str(reading.sequence)},
    )


def _check(reading: Reading, device: Device, cursor: DeviceCursor | None, now_ms: int) -> None:
    name = device.device_id
    if cursor is not None:
        if reading.sequence <= cursor.sequence:
            raise _refuse(
                Refusal.SEQUENCE_NOT_INCREASING, f"sequence {cursor.sequence} was accepted already", name, reading
            )
        if reading.time_ms <= cursor.time_ms:
            raise _refuse(Refusal.TIME_NOT_INCREASING, "not later than the last accepted reading", name, reading)
    if reading.time_ms > now_ms + FUTURE_TOLERANCE_MS:
        raise _refuse(Refusal.TIME_IN_FUTURE, "the reading lies in the future of the ledger", name, reading)
    rated = device.rated_power_w
    if not -rated * NIGHT_LOAD_PERCENT <= reading.power_w * 100 <= rated * OVERLOAD_PERCENT:
        raise _refuse(
            Refusal.POWER_OUTSIDE_NAMEPLATE, f"{reading.power_w} W on a nameplate of {rated} W", name, reading
        )
    # Wh * 3.6e6 ms/h against W * ms; a reading covers at most the time since the last one, be that shorter than the interval:
    # else a device that reports more often than it declared could count each interval many times.
    covered = device.interval_ms if cursor is None else reading.time_ms - cursor.time_ms
    if not 0 <= reading.energy_wh * 3_600_000 * 100 <= rated * covered * OVERLOAD_PERCENT:
        raise _refuse(
            Refusal.ENERGY_OUTSIDE_NAMEPLATE,
            f"{reading.energy_wh} Wh in {covered} ms on a nameplate of {rated} W",
            name,
            reading,
        )


def _quality(reading: Reading, device: Device, cursor: DeviceCursor | None) -> tuple[str, ...]:
    rules = []
    if reading.flags:
        rules.append("LOGGER_FLAG")
    if cursor is not None and reading.time_ms - cursor.time_ms > device.interval_ms:
        rules.append("GAP")
    if reading.power_w < 0:
        rules.append("NIGHT_CONSUMPTION")
    if reading.irradiance_w_m2 > MAX_IRRADIANCE_W_M2:
        rules.append("IRRADIANCE_RANGE")
    dark = reading.irradiance_w_m2 < DARK_W_M2 and not reading.flags & FLAG_MISSING_CHANNEL
    if dark and reading.power_w * 100 > device.rated_power_w * DARK_POWER_PERCENT:
        rules.append("POWER_IN_THE_DARK")
    if _repeats(reading, cursor) >= STUCK_REPEATS:
        rules.append("STUCK_VALUE")
    return tuple(rules)


def _repeats(reading: Reading, cursor: DeviceCursor | None) -> int:
    same = cursor is not None and (reading.power_w, reading.energy_wh) == (cursor.power_w, cursor.energy_wh)
    return cursor.repeats + 1 if same and cursor is not None and reading.power_w > 0 else 0


def _advance(reading: Reading, cursor: DeviceCursor | None) -> DeviceCursor:
    return DeviceCursor(
        reading.sequence, reading.time_ms, reading.energy_wh, reading.power_w, _repeats(reading, cursor)
    )
