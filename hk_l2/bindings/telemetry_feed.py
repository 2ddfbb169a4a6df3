"""Binding of `TelemetryFeed`: proven energy of all assets."""

from __future__ import annotations

from dataclasses import dataclass

from hk_l2.bindings.contract import Contract, role
from hk_l2.chain import BlockStamp, Call

FEED_ADMIN_ROLE = role("FEED_ADMIN_ROLE")


@dataclass(frozen=True, slots=True)
class TelemetryRound:
    """One proven interval. Times in milliseconds UTC but `recorded_at` in seconds."""

    round_id: int
    start_ms: int
    end_ms: int
    energy_wh: int
    cumulative_wh: int
    recorded_at: int
    reading_count: int
    flagged_count: int


class TelemetryFeed(Contract):
    """Feed of all assets."""

    artifact = "TelemetryFeed"

    def is_fresh(self, asset_ref: bytes, now_s: int, at: BlockStamp | None = None) -> bool:
        """Whether the newest interval is recent enough to mint."""
        return bool(self._read("isFresh", asset_ref, now_s, at=at))

    def max_age_s(self, at: BlockStamp | None = None) -> int:
        """Staleness limit."""
        return int(self._read("maxAge", at=at))

    def asset_feed(self, asset_ref: bytes, at: BlockStamp | None = None) -> str:
        """Address of the asset's AggregatorV3 facade; the zero address before its first round."""
        return str(self._read("assetFeed", asset_ref, at=at))

    def latest_round(self, asset_ref: bytes, at: BlockStamp | None = None) -> TelemetryRound | None:
        """Newest round, or None."""
        number = int(self._read("latestRound", asset_ref, at=at))
        return self.round(asset_ref, number, at) if number else None

    def round(self, asset_ref: bytes, round_id: int, at: BlockStamp | None = None) -> TelemetryRound:
        """One round; raises `RevertError` NoData when there is none."""
        found = self._read("roundOf", asset_ref, round_id, at=at)
        return TelemetryRound(
            round_id,
            found["startMs"],
            found["endMs"],
            found["energyWh"],
            found["cumulativeWh"],
            found["recordedAt"],
            found["readingCount"],
            found["flaggedCount"],
        )

    def bind_controller(self, controller: str) -> Call:
        """Binds the one contract that may record; once."""
        return self._write("bindController", controller)

    def set_max_age(self, max_age_s: int) -> Call:
        """Sets the staleness limit."""
        return self._write("setMaxAge", max_age_s)
