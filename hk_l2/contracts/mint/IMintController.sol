// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ClearanceData, MintOrder} from "./MintOrders.sol";

/// @notice A proven lock. Always: `units == minted + mintable + redeemed + lapsed`.
/// @param leaf Leaf of the claim in the export log
/// @param assetRef Asset whose units are locked
/// @param issuer Who signs orders on it
/// @param units Units locked on the mainland
/// @param minted Units now in circulation as tokens
/// @param mintable Units that orders can still draw
/// @param redeemed Units burned on their way back; never mintable again
/// @param lapsed Units that were not minted before the lock expired
/// @param approvalExpiryMs Millisecond (UTC) from which the export approval no longer counts
/// @param expiryMs Millisecond (UTC) from which the lock gives no more capacity
struct LockInfo {
    bytes32 leaf;
    bytes32 assetRef;
    address issuer;
    uint64 units;
    uint64 minted;
    uint64 mintable;
    uint64 redeemed;
    uint64 lapsed;
    uint64 approvalExpiryMs;
    uint64 expiryMs;
}

/// @notice A proven asset.
/// @param leaf Leaf of the newest claim in the export log
/// @param profile Hash of the asset profile's name
/// @param unitCount Units the asset has
/// @param encumberedUnits Units of all its locks that are minted or mintable
/// @param height Ledger block of the newest claim
/// @param token Token of the asset; zero until registered
struct AssetInfo {
    bytes32 leaf;
    bytes32 profile;
    uint64 unitCount;
    uint64 encumberedUnits;
    uint64 height;
    address token;
}

/// @title Turns proven mainland locks into tokens, and tokens back into releases.
interface IMintController {
    event AssetProven(
        bytes32 indexed assetRef,
        bytes32 leaf,
        bytes32 profile,
        uint64 unitCount,
        uint64 height,
        bytes32 decisionHash
    );
    event TelemetryProven(bytes32 indexed assetRef, bytes32 leaf, uint80 roundId, bytes32 decisionHash);
    event LockProven(
        bytes32 indexed lockRef,
        bytes32 indexed assetRef,
        address indexed issuer,
        bytes32 leaf,
        uint64 units,
        string filingReference,
        uint64 approvalExpiryMs,
        uint64 expiryMs,
        bytes32 decisionHash
    );
    event LockLapsed(bytes32 indexed lockRef, uint64 units);
    event TokenRegistered(bytes32 indexed assetRef, address indexed token);
    event ClearanceThresholdSet(uint256 threshold);
    event Minted(
        bytes32 indexed orderId,
        bytes32 indexed lockRef,
        bytes32 assetRef,
        address indexed recipient,
        uint256 units,
        bytes32 decisionHash
    );
    event Redeemed(
        uint256 indexed redemptionId,
        bytes32 indexed lockRef,
        bytes32 assetRef,
        address indexed holder,
        uint256 units
    );

    /// @notice A needed contract is missing.
    error NotContract(address account);
    /// @notice The light client does not confirm that the claim is in the log.
    error ClaimNotInLog(bytes32 leaf, uint64 index, uint64 logSize);
    /// @notice The claim comes from another ledger.
    error WrongLedger(bytes32 given, bytes32 expected);
    /// @notice The claim was exported to another destination.
    error WrongDestination(bytes32 given, bytes32 expected);
    /// @notice Zero units.
    error ZeroUnits();
    /// @notice The asset has not been proven.
    error AssetUnknown(bytes32 assetRef);
    /// @notice A newer claim of a known asset must keep its profile.
    error AssetProfileChanged(bytes32 assetRef, bytes32 given, bytes32 known);
    /// @notice A different claim of a known asset must be from a higher block.
    error AssetClaimNotNewer(bytes32 assetRef, uint64 height, uint64 knownHeight);
    /// @notice The asset would have fewer units than its locks hold.
    error AssetUnitsExceeded(bytes32 assetRef, uint256 encumberedUnits, uint64 unitCount);
    /// @notice The interval ends in the future, or after the block that reports it.
    error IntervalInFuture(bytes32 assetRef, uint64 intervalEndMs);
    /// @notice The interval has no readings, or more flagged readings than readings.
    error InvalidReadingCounts(uint64 readingCount, uint64 flaggedCount);
    /// @notice Another claim was proven for this lock.
    error LockConflict(bytes32 lockRef, bytes32 leaf, bytes32 knownLeaf);
    /// @notice The zero lock reference is never valid.
    error InvalidLockRef();
    /// @notice A lock names its issuer.
    error InvalidIssuer();
    /// @notice A lock names its filing.
    error MissingFilingReference();
    /// @notice The lock has expired.
    error LockExpired(bytes32 lockRef, uint64 expiryMs);
    /// @notice The lock has not expired yet.
    error LockNotExpired(bytes32 lockRef, uint64 expiryMs);
    /// @notice The lock has lapsed already.
    error LockAlreadyLapsed(bytes32 lockRef);
    /// @notice The export approval has expired.
    error ApprovalExpired(bytes32 lockRef, uint64 approvalExpiryMs);
    /// @notice The lock has not been proven.
    error LockUnknown(bytes32 lockRef);
    /// @notice The asset already has a token.
    error TokenAlreadyRegistered(bytes32 assetRef, address token);
    /// @notice The token is controlled by another contract.
    error TokenControllerMismatch(address token, address tokenController);
    /// @notice The token was made for another asset.
    error TokenAssetMismatch(address token, bytes32 tokenAssetRef);
    /// @notice The asset has no token yet.
    error TokenNotRegistered(bytes32 assetRef);
    /// @notice An equivocation has frozen the light client.
    error LightClientFrozen();
    /// @notice The order was carried out before.
    error OrderUsed(bytes32 orderId);
    /// @notice The order's deadline has passed.
    error OrderExpired(bytes32 orderId, uint64 deadline);
    /// @notice The lock gives less than is ordered.
    error CapacityExceeded(bytes32 lockRef, uint64 mintable, uint256 units);
    /// @notice The asset's newest telemetry is too old, or there is none.
    error TelemetryStale(bytes32 assetRef);
    /// @notice The order is not signed by the lock's issuer.
    error InvalidIssuerSignature(bytes32 orderId, address issuer);
    /// @notice The clearance has expired.
    error ClearanceExpired(bytes32 orderId, uint64 expiry);
    /// @notice Fewer compliance signatures than the threshold.
    error ClearanceThresholdNotMet(uint256 signatures, uint256 threshold);
    /// @notice A compliance signature is malformed.
    error InvalidClearanceSignature(uint256 position);
    /// @notice Compliance signers must increase strictly; so none counts twice.
    error ClearanceSignersNotIncreasing(address previous, address signer);
    /// @notice Not a compliance signer (or not of this very clearance).
    error NotComplianceSigner(address signer);
    /// @notice The recipient holds no valid credential.
    error RecipientNotEligible(address recipient);
    /// @notice Zero, or more than there are compliance signers.
    error InvalidThreshold(uint256 threshold, uint256 signers);
    /// @notice More than was minted from this lock.
    error RedemptionExceedsMinted(bytes32 lockRef, uint64 minted, uint256 units);

    /// @notice Records an asset, or a newer state of it. Anyone may call.
    /// @return recorded False when this very claim was recorded before
    function proveAsset(
        bytes calldata claim,
        uint64 index,
        uint64 logSize,
        bytes32[] calldata proof
    ) external returns (bool recorded);

    /// @notice Records the next telemetry interval of a proven asset. Anyone may call.
    /// @return recorded False when this very claim was recorded before
    function proveTelemetry(
        bytes calldata claim,
        uint64 index,
        uint64 logSize,
        bytes32[] calldata proof
    ) external returns (bool recorded);

    /// @notice Records a lock of a proven asset; it gives its issuer capacity to mint. Anyone may call.
    /// @return recorded False when this very claim was recorded before
    function proveLock(
        bytes calldata claim,
        uint64 index,
        uint64 logSize,
        bytes32[] calldata proof
    ) external returns (bool recorded);

    /// @notice Carries out an order, once. Anyone may call.
    /// @param order Order of the lock's issuer
    /// @param issuerSignature EIP-712 signature of the issuer (EIP-1271 for contracts)
    /// @param clearance Compliance decision on this order
    /// @param clearanceSignatures EIP-712 signatures of compliance signers, by strictly increasing address
    function mint(
        MintOrder calldata order,
        bytes calldata issuerSignature,
        ClearanceData calldata clearance,
        bytes[] calldata clearanceSignatures
    ) external;

    /// @notice Burns the caller's tokens so that the mainland releases as many units of the lock.
    /// @return redemptionId Number of the redemption, from 1
    function redeem(bytes32 lockRef, uint256 units) external returns (uint256 redemptionId);

    /// @notice Gives what an expired lock can no longer mint back to its asset. Anyone may call.
    function lapse(bytes32 lockRef) external;

    /// @notice Names the token of a proven asset, once.
    function registerToken(bytes32 assetRef, address token) external;

    /// @notice Sets how many compliance signatures a clearance needs.
    function setClearanceThreshold(uint256 threshold) external;

    /// @notice State of a lock; zeroes when it is unknown.
    function lockInfo(bytes32 lockRef) external view returns (LockInfo memory);

    /// @notice State of an asset; zeroes when it is unknown.
    function assetInfo(bytes32 assetRef) external view returns (AssetInfo memory);

    /// @notice Whether an order was carried out, for whom and how much.
    function orderState(bytes32 orderId) external view returns (bool used, address recipient, uint64 units);
}
