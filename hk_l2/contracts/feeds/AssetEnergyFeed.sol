// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AggregatorV3Interface} from "./AggregatorV3Interface.sol";
import {ITelemetryFeed, TelemetryRound} from "./ITelemetryFeed.sol";

/// @title Cumulative energy of one asset, in Wh, as an AggregatorV3 feed.
/// @notice `startedAt` and `updatedAt` are the start and the end of the measured interval, not the time of relaying, so a
/// consumer's staleness check judges the age of the measurement.
contract AssetEnergyFeed is AggregatorV3Interface {
    /// @notice Feed of all assets, where the data is.
    ITelemetryFeed public immutable telemetry;

    /// @notice Asset reported on.
    bytes32 public immutable assetRef;

    uint256 private constant MS_PER_SECOND = 1000;

    constructor(bytes32 assetRef_) {
        telemetry = ITelemetryFeed(msg.sender);
        assetRef = assetRef_;
    }

    /// @inheritdoc AggregatorV3Interface
    function decimals() external pure returns (uint8) {
        return 0;
    }

    /// @inheritdoc AggregatorV3Interface
    function description() external pure returns (string memory) {
        return "Cumulative energy / Wh";
    }

    /// @inheritdoc AggregatorV3Interface
    function version() external pure returns (uint256) {
        return 1;
    }

    /// @inheritdoc AggregatorV3Interface
    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return getRoundData(telemetry.latestRound(assetRef));
    }

    /// @inheritdoc AggregatorV3Interface
    function getRoundData(uint80 roundId) public view returns (uint80, int256, uint256, uint256, uint80) {
        TelemetryRound memory round = telemetry.roundOf(assetRef, roundId);
        return (
            roundId,
            int256(uint256(round.cumulativeWh)),
            round.startMs / MS_PER_SECOND,
            round.endMs / MS_PER_SECOND,
            roundId
        );
    }
}
