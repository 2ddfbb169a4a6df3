// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ITelemetryFeed, TelemetryRound} from "../feeds/ITelemetryFeed.sol";
import {IMainlandLightClient} from "../light_client/IMainlandLightClient.sol";
import {AssetClaim, ClaimEnvelope, Claims, TelemetryClaim, UnitLockClaim} from "./Claims.sol";
import {AssetInfo, IMintController, LockInfo} from "./IMintController.sol";

/// @title Takes proven claims in: assets, telemetry, locks.
/// @dev A claim is verified by the one light client fixed at deployment, decoded strictly, bound to this ledger and this
/// contract, and then judged by the rules of its kind. Proving the same claim again changes nothing and returns false.
abstract contract ClaimIntake is IMintController {
    struct Asset {
        bytes32 leaf;
        bytes32 profile;
        uint64 unitCount;
        uint64 encumberedUnits;
        uint64 height;
        address token;
    }

    struct Lock {
        bytes32 leaf;
        bytes32 assetRef;
        address issuer;
        uint64 units;
        bool lapsed;
        uint64 minted;
        uint64 redeemed;
        uint64 approvalExpiryMs;
        uint64 expiryMs;
    }

    uint256 internal constant MS_PER_SECOND = 1000;

    /// @notice Light client that all claims are proven against.
    IMainlandLightClient public immutable lightClient;

    /// @notice Feed that proven telemetry goes to.
    ITelemetryFeed public immutable telemetryFeed;

    /// @notice The mainland ledger whose claims count here.
    bytes32 public immutable ledgerChainId;

    /// @notice What claims for this contract name as their destination.
    bytes32 public immutable destination;

    /// @notice Whether the claim with this leaf was recorded.
    mapping(bytes32 leaf => bool) public claimRecorded;

    mapping(bytes32 assetRef => Asset) internal _assets;
    mapping(bytes32 lockRef => Lock) internal _locks;

    constructor(IMainlandLightClient lightClient_, ITelemetryFeed telemetryFeed_) {
        if (address(lightClient_).code.length == 0) revert NotContract(address(lightClient_));
        if (address(telemetryFeed_).code.length == 0) revert NotContract(address(telemetryFeed_));
        lightClient = lightClient_;
        telemetryFeed = telemetryFeed_;
        ledgerChainId = lightClient_.chainId();
        destination = keccak256(abi.encode(block.chainid, address(this)));
    }

    /// @inheritdoc IMintController
    function proveAsset(
        bytes calldata claim,
        uint64 index,
        uint64 logSize,
        bytes32[] calldata proof
    ) external returns (bool recorded) {
        bytes32 leaf = Claims.leafOf(claim);
        if (!_admit(leaf, claim, index, logSize, proof)) return false;
        AssetClaim memory decoded = Claims.decodeAsset(claim);
        ClaimEnvelope memory envelope = decoded.envelope;
        _requireBound(envelope);
        if (decoded.unitCount == 0) revert ZeroUnits();
        Asset storage asset = _assets[envelope.assetRef];
        if (asset.unitCount != 0) {
            // The ledger is the authority on its assets: its newer word counts, as far as locks already accepted leave room.
            if (decoded.profile != asset.profile) {
                revert AssetProfileChanged(envelope.assetRef, decoded.profile, asset.profile);
            }
            if (envelope.height <= asset.height) {
                revert AssetClaimNotNewer(envelope.assetRef, envelope.height, asset.height);
            }
            if (decoded.unitCount < asset.encumberedUnits) {
                revert AssetUnitsExceeded(envelope.assetRef, asset.encumberedUnits, decoded.unitCount);
            }
        }
        asset.leaf = leaf;
        asset.profile = decoded.profile;
        asset.unitCount = decoded.unitCount;
        asset.height = envelope.height;
        emit AssetProven(
            envelope.assetRef,
            leaf,
            decoded.profile,
            decoded.unitCount,
            envelope.height,
            envelope.decisionHash
        );
        return true;
    }

    /// @inheritdoc IMintController
    function proveTelemetry(
        bytes calldata claim,
        uint64 index,
        uint64 logSize,
        bytes32[] calldata proof
    ) external returns (bool recorded) {
        bytes32 leaf = Claims.leafOf(claim);
        if (!_admit(leaf, claim, index, logSize, proof)) return false;
        TelemetryClaim memory decoded = Claims.decodeTelemetry(claim);
        ClaimEnvelope memory envelope = decoded.envelope;
        _requireBound(envelope);
        if (_assets[envelope.assetRef].unitCount == 0) revert AssetUnknown(envelope.assetRef);
        if (decoded.intervalEndMs > envelope.timeMs || decoded.intervalEndMs > block.timestamp * MS_PER_SECOND) {
            revert IntervalInFuture(envelope.assetRef, decoded.intervalEndMs);
        }
        if (decoded.readingCount == 0 || decoded.flaggedCount > decoded.readingCount) {
            revert InvalidReadingCounts(decoded.readingCount, decoded.flaggedCount);
        }
        uint80 roundId = telemetryFeed.record(
            envelope.assetRef,
            TelemetryRound({
                startMs: decoded.intervalStartMs,
                endMs: decoded.intervalEndMs,
                energyWh: decoded.energyWh,
                cumulativeWh: decoded.cumulativeEnergyWh,
                recordedAt: uint64(block.timestamp),
                readingCount: decoded.readingCount,
                flaggedCount: decoded.flaggedCount
            })
        );
        emit TelemetryProven(envelope.assetRef, leaf, roundId, envelope.decisionHash);
        return true;
    }

    /// @inheritdoc IMintController
    function proveLock(
        bytes calldata claim,
        uint64 index,
        uint64 logSize,
        bytes32[] calldata proof
    ) external returns (bool recorded) {
        bytes32 leaf = Claims.leafOf(claim);
        if (!_admit(leaf, claim, index, logSize, proof)) return false;
        UnitLockClaim memory decoded = Claims.decodeUnitLock(claim);
        ClaimEnvelope memory envelope = decoded.envelope;
        _requireBound(envelope);
        _requireSoundLock(decoded, leaf);
        Asset storage asset = _assets[envelope.assetRef];
        if (asset.unitCount == 0) revert AssetUnknown(envelope.assetRef);
        uint256 encumbered = uint256(asset.encumberedUnits) + decoded.units;
        if (encumbered > asset.unitCount) revert AssetUnitsExceeded(envelope.assetRef, encumbered, asset.unitCount);
        asset.encumberedUnits = uint64(encumbered);
        _locks[decoded.lockRef] = Lock({
            leaf: leaf,
            assetRef: envelope.assetRef,
            issuer: decoded.issuer,
            units: decoded.units,
            lapsed: false,
            minted: 0,
            redeemed: 0,
            approvalExpiryMs: decoded.approvalExpiryMs,
            expiryMs: decoded.expiryMs
        });
        emit LockProven(
            decoded.lockRef,
            envelope.assetRef,
            decoded.issuer,
            leaf,
            decoded.units,
            decoded.filingReference,
            decoded.approvalExpiryMs,
            decoded.expiryMs,
            envelope.decisionHash
        );
        return true;
    }

    /// @inheritdoc IMintController
    function lapse(bytes32 lockRef) external {
        Lock storage lock = _requireLock(lockRef);
        if (block.timestamp * MS_PER_SECOND < lock.expiryMs) revert LockNotExpired(lockRef, lock.expiryMs);
        if (lock.lapsed) revert LockAlreadyLapsed(lockRef);
        uint64 remaining = lock.units - lock.minted - lock.redeemed;
        lock.lapsed = true;
        _assets[lock.assetRef].encumberedUnits -= remaining;
        emit LockLapsed(lockRef, remaining);
    }

    /// @inheritdoc IMintController
    function lockInfo(bytes32 lockRef) external view returns (LockInfo memory info) {
        Lock storage lock = _locks[lockRef];
        uint64 remaining = lock.units - lock.minted - lock.redeemed;
        info = LockInfo({
            leaf: lock.leaf,
            assetRef: lock.assetRef,
            issuer: lock.issuer,
            units: lock.units,
            minted: lock.minted,
            mintable: lock.lapsed ? 0 : remaining,
            redeemed: lock.redeemed,
            lapsed: lock.lapsed ? remaining : 0,
            approvalExpiryMs: lock.approvalExpiryMs,
            expiryMs: lock.expiryMs
        });
    }

    /// @inheritdoc IMintController
    function assetInfo(bytes32 assetRef) external view returns (AssetInfo memory) {
        Asset storage asset = _assets[assetRef];
        return
            AssetInfo({
                leaf: asset.leaf,
                profile: asset.profile,
                unitCount: asset.unitCount,
                encumberedUnits: asset.encumberedUnits,
                height: asset.height,
                token: asset.token
            });
    }

    function _requireLock(bytes32 lockRef) internal view returns (Lock storage lock) {
        lock = _locks[lockRef];
        if (lock.units == 0) revert LockUnknown(lockRef);
    }

    /// @dev Marks the claim as recorded; a later refusal undoes that with the rest of the transaction.
    /// @return Whether the claim is new
    function _admit(
        bytes32 leaf,
        bytes calldata claim,
        uint64 index,
        uint64 logSize,
        bytes32[] calldata proof
    ) private returns (bool) {
        if (claimRecorded[leaf]) return false;
        if (!lightClient.verifyInclusion(claim, index, logSize, proof)) revert ClaimNotInLog(leaf, index, logSize);
        claimRecorded[leaf] = true;
        return true;
    }

    function _requireSoundLock(UnitLockClaim memory decoded, bytes32 leaf) private view {
        bytes32 lockRef = decoded.lockRef;
        if (lockRef == bytes32(0)) revert InvalidLockRef();
        if (_locks[lockRef].units != 0) revert LockConflict(lockRef, leaf, _locks[lockRef].leaf);
        if (decoded.units == 0) revert ZeroUnits();
        if (decoded.issuer == address(0)) revert InvalidIssuer();
        if (bytes(decoded.filingReference).length == 0) revert MissingFilingReference();
        uint256 nowMs = block.timestamp * MS_PER_SECOND;
        if (decoded.approvalExpiryMs <= nowMs) revert ApprovalExpired(lockRef, decoded.approvalExpiryMs);
        if (decoded.expiryMs <= nowMs) revert LockExpired(lockRef, decoded.expiryMs);
    }

    function _requireBound(ClaimEnvelope memory envelope) private view {
        if (envelope.chainId != ledgerChainId) revert WrongLedger(envelope.chainId, ledgerChainId);
        if (envelope.destination != destination) revert WrongDestination(envelope.destination, destination);
    }
}
