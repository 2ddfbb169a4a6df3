// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {AggregatorV3Interface} from "./AggregatorV3Interface.sol";
import {AssetEnergyFeed} from "./AssetEnergyFeed.sol";
import {ITelemetryFeed, TelemetryRound} from "./ITelemetryFeed.sol";

/// @title Telemetry of all assets, written by the MintController alone.
contract TelemetryFeed is ITelemetryFeed, AccessControl {
    /// @notice May move the staleness limit within its bounds.
    bytes32 public constant FEED_ADMIN_ROLE = keccak256("FEED_ADMIN_ROLE");

    /// @notice Least staleness limit, seconds.
    uint64 public constant MIN_MAX_AGE = 5 minutes;

    /// @notice Largest staleness limit, seconds.
    uint64 public constant MAX_MAX_AGE = 31 days;

    uint256 private constant MS_PER_SECOND = 1000;

    struct Latest {
        uint80 roundId;
        uint64 endMs;
        uint64 cumulativeWh;
    }

    /// @inheritdoc ITelemetryFeed
    address public controller;

    /// @notice Staleness limit, seconds.
    uint64 public maxAge;

    mapping(bytes32 assetRef => Latest) private _latest;
    mapping(bytes32 assetRef => mapping(uint80 roundId => TelemetryRound)) private _rounds;

    /// @notice AggregatorV3 facade of an asset; zero before its first round.
    mapping(bytes32 assetRef => AggregatorV3Interface) public assetFeed;

    constructor(address admin, uint64 maxAge_) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _setMaxAge(maxAge_);
    }

    /// @notice Binds the contract that records. Once only: afterwards no role can redirect the feed.
    function bindController(address controller_) external onlyRole(DEFAULT_ADMIN_ROLE) {
        if (controller != address(0)) revert ControllerAlreadyBound(controller);
        if (controller_.code.length == 0) revert InvalidController(controller_);
        controller = controller_;
        emit ControllerBound(controller_);
    }

    /// @notice Sets the staleness limit.
    function setMaxAge(uint64 maxAge_) external onlyRole(FEED_ADMIN_ROLE) {
        _setMaxAge(maxAge_);
    }

    /// @inheritdoc ITelemetryFeed
    function record(bytes32 assetRef, TelemetryRound calldata round) external returns (uint80 roundId) {
        if (msg.sender != controller) revert NotController(msg.sender);
        if (round.endMs <= round.startMs) revert EmptyInterval(round.startMs, round.endMs);
        Latest memory last = _latest[assetRef];
        if (round.startMs < last.endMs) revert IntervalNotMonotonic(assetRef, round.startMs, last.endMs);
        // An asset may join with a meter that has already counted: its first round sets the base.
        bool consistent = last.roundId == 0
            ? round.cumulativeWh >= round.energyWh
            : round.cumulativeWh == uint256(last.cumulativeWh) + round.energyWh;
        if (!consistent) {
            revert CumulativeMismatch(assetRef, round.cumulativeWh, uint256(last.cumulativeWh) + round.energyWh);
        }
        roundId = last.roundId + 1;
        if (roundId == 1) {
            AssetEnergyFeed feed = new AssetEnergyFeed{salt: assetRef}(assetRef);
            assetFeed[assetRef] = feed;
            emit AssetFeedCreated(assetRef, address(feed));
        }
        _latest[assetRef] = Latest(roundId, round.endMs, round.cumulativeWh);
        _rounds[assetRef][roundId] = round;
        _rounds[assetRef][roundId].recordedAt = uint64(block.timestamp);
        emit RoundRecorded(assetRef, roundId, round.startMs, round.endMs, round.energyWh, round.cumulativeWh);
    }

    /// @inheritdoc ITelemetryFeed
    function isFresh(bytes32 assetRef, uint256 nowSeconds) external view returns (bool) {
        Latest memory last = _latest[assetRef];
        return last.roundId != 0 && nowSeconds * MS_PER_SECOND <= last.endMs + uint256(maxAge) * MS_PER_SECOND;
    }

    /// @inheritdoc ITelemetryFeed
    function latestRound(bytes32 assetRef) external view returns (uint80) {
        return _latest[assetRef].roundId;
    }

    /// @inheritdoc ITelemetryFeed
    function roundOf(bytes32 assetRef, uint80 roundId) external view returns (TelemetryRound memory) {
        if (roundId == 0 || roundId > _latest[assetRef].roundId) revert NoData(assetRef, roundId);
        return _rounds[assetRef][roundId];
    }

    function _setMaxAge(uint64 maxAge_) private {
        if (maxAge_ < MIN_MAX_AGE || maxAge_ > MAX_MAX_AGE) {
            revert MaxAgeOutOfBounds(maxAge_, MIN_MAX_AGE, MAX_MAX_AGE);
        }
        maxAge = maxAge_;
        emit MaxAgeSet(maxAge_);
    }
}
