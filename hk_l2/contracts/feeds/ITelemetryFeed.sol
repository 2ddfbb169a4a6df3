// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice One proven interval of an asset's telemetry; one feed round.
/// @param startMs Start of the interval, milliseconds UTC
/// @param endMs End of the interval, milliseconds UTC
/// @param energyWh Energy of the interval
/// @param cumulativeWh Energy up to the end of the interval
/// @param recordedAt Second (EVM time) at which the round was recorded
/// @param readingCount Readings in the interval
/// @param flaggedCount Readings that quality rules flagged
struct TelemetryRound {
    uint64 startMs;
    uint64 endMs;
    uint64 energyWh;
    uint64 cumulativeWh;
    uint64 recordedAt;
    uint64 readingCount;
    uint64 flaggedCount;
}

/// @title Telemetry of all assets: cumulative energy in Wh, one round per proven interval.
interface ITelemetryFeed {
    /// @notice A round was recorded.
    event RoundRecorded(
        bytes32 indexed assetRef,
        uint80 indexed roundId,
        uint64 startMs,
        uint64 endMs,
        uint64 energyWh,
        uint64 cumulativeWh
    );

    /// @notice The first round of an asset created its AggregatorV3 facade.
    event AssetFeedCreated(bytes32 indexed assetRef, address feed);

    /// @notice The staleness limit changed.
    event MaxAgeSet(uint64 maxAge);

    /// @notice The one contract that may record was bound.
    event ControllerBound(address indexed controller);

    /// @notice Only the bound controller may record.
    error NotController(address caller);

    /// @notice The controller is bound once and for ever.
    error ControllerAlreadyBound(address controller);

    /// @notice The controller must be a contract.
    error InvalidController(address controller);

    /// @notice The interval does not end after its start.
    error EmptyInterval(uint64 startMs, uint64 endMs);

    /// @notice The interval starts before the last one ended.
    error IntervalNotMonotonic(bytes32 assetRef, uint64 startMs, uint64 lastEndMs);

    /// @notice The cumulative energy is not the previous one plus the interval's.
    error CumulativeMismatch(bytes32 assetRef, uint64 given, uint256 expected);

    /// @notice No such round.
    error NoData(bytes32 assetRef, uint80 roundId);

    /// @notice The staleness limit is outside its bounds.
    error MaxAgeOutOfBounds(uint64 given, uint64 min, uint64 max);

    /// @notice Records the next interval of an asset.
    /// @return roundId Number of the new round, from 1
    function record(bytes32 assetRef, TelemetryRound calldata round) external returns (uint80 roundId);

    /// @notice Whether the newest interval of the asset ended at most `maxAge` before `nowSeconds`.
    function isFresh(bytes32 assetRef, uint256 nowSeconds) external view returns (bool);

    /// @notice Number of the newest round of the asset; zero when there is none.
    function latestRound(bytes32 assetRef) external view returns (uint80);

    /// @notice One round in full; reverts when there is none.
    function roundOf(bytes32 assetRef, uint80 roundId) external view returns (TelemetryRound memory);

    /// @notice The controller that may record.
    function controller() external view returns (address);
}
