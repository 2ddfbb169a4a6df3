// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {ICredentialRegistry} from "../compliance/ICredentialRegistry.sol";
import {ITelemetryFeed} from "../feeds/ITelemetryFeed.sol";
import {IMainlandLightClient} from "../light_client/IMainlandLightClient.sol";
import {IRWAToken} from "../token/IRWAToken.sol";
import {ClaimIntake} from "./ClaimIntake.sol";
import {IMintController} from "./IMintController.sol";
import {ClearanceData, MintOrder, MintOrders} from "./MintOrders.sol";
import {SeparatedPause} from "./SeparatedPause.sol";

/// @title The one contract that mints and burns.
/// @notice A mint needs four yeses, each checked here: a proven lock with capacity left, fresh proven telemetry, filing and
/// approval in force (inside the lock claim), and a clearance of this very order by enough compliance signers.
/// @dev It calls only contracts fixed at deployment or registered by role, never one named by a caller, and holds no role
/// elsewhere. A frozen light client stops minting and redeeming: whoever redeemed then could not count on a release.
contract MintController is ClaimIntake, SeparatedPause, EIP712 {
    struct OrderRecord {
        address recipient;
        uint64 units;
    }

    /// @notice Registers tokens of proven assets.
    bytes32 public constant ASSET_ADMIN_ROLE = keccak256("ASSET_ADMIN_ROLE");

    /// @notice Sets the clearance threshold.
    bytes32 public constant COMPLIANCE_ADMIN_ROLE = keccak256("COMPLIANCE_ADMIN_ROLE");

    /// @notice Signs clearances.
    bytes32 public constant COMPLIANCE_SIGNER_ROLE = keccak256("COMPLIANCE_SIGNER_ROLE");

    /// @notice Credentials that recipients are judged by.
    ICredentialRegistry public immutable credentials;

    /// @notice Compliance signatures a clearance needs.
    uint256 public clearanceThreshold;

    /// @notice Accounts that hold the compliance signer role.
    uint256 public complianceSignerCount;

    /// @notice Number of redemptions so far.
    uint256 public redemptionCount;

    mapping(bytes32 orderId => OrderRecord) private _orders;

    constructor(
        IMainlandLightClient lightClient_,
        ITelemetryFeed telemetryFeed_,
        ICredentialRegistry credentials_,
        address admin,
        address[] memory complianceSigners,
        uint256 threshold
    ) ClaimIntake(lightClient_, telemetryFeed_) EIP712("Lianqiao MintController", "1") {
        if (address(credentials_).code.length == 0) revert NotContract(address(credentials_));
        credentials = credentials_;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        for (uint256 i = 0; i < complianceSigners.length; ++i) {
            _grantRole(COMPLIANCE_SIGNER_ROLE, complianceSigners[i]);
        }
        _setClearanceThreshold(threshold);
    }

    /// @inheritdoc IMintController
    function registerToken(bytes32 assetRef, address token) external onlyRole(ASSET_ADMIN_ROLE) {
        Asset storage asset = _assets[assetRef];
        if (asset.unitCount == 0) revert AssetUnknown(assetRef);
        if (asset.token != address(0)) revert TokenAlreadyRegistered(assetRef, asset.token);
        if (token.code.length == 0) revert NotContract(token);
        address tokenController = IRWAToken(token).controller();
        if (tokenController != address(this)) revert TokenControllerMismatch(token, tokenController);
        bytes32 tokenAssetRef = IRWAToken(token).assetRef();
        if (tokenAssetRef != assetRef) revert TokenAssetMismatch(token, tokenAssetRef);
        asset.token = token;
        emit TokenRegistered(assetRef, token);
    }

    /// @inheritdoc IMintController
    function setClearanceThreshold(uint256 threshold) external onlyRole(COMPLIANCE_ADMIN_ROLE) {
        _setClearanceThreshold(threshold);
    }

    /// @inheritdoc IMintController
    function mint(
        MintOrder calldata order,
        bytes calldata issuerSignature,
        ClearanceData calldata clearance,
        bytes[] calldata clearanceSignatures
    ) external whenNotPaused {
        if (lightClient.frozen()) revert LightClientFrozen();
        if (order.units == 0) revert ZeroUnits();
        if (_orders[order.orderId].units != 0) revert OrderUsed(order.orderId);
        if (block.timestamp > order.deadline) revert OrderExpired(order.orderId, order.deadline);

        Lock storage lock = _requireLock(order.lockRef);
        bytes32 assetRef = lock.assetRef;
        uint256 nowMs = block.timestamp * MS_PER_SECOND;
        if (nowMs >= lock.expiryMs) revert LockExpired(order.lockRef, lock.expiryMs);
        if (nowMs >= lock.approvalExpiryMs) revert ApprovalExpired(order.lockRef, lock.approvalExpiryMs);
        uint64 mintable = lock.units - lock.minted - lock.redeemed;
        if (order.units > mintable) revert CapacityExceeded(order.lockRef, mintable, order.units);
        if (!telemetryFeed.isFresh(assetRef, block.timestamp)) revert TelemetryStale(assetRef);

        bytes32 digest = _hashTypedDataV4(MintOrders.hash(order));
        if (!SignatureChecker.isValidSignatureNowCalldata(lock.issuer, digest, issuerSignature)) {
            revert InvalidIssuerSignature(order.orderId, lock.issuer);
        }
        _requireCleared(order, clearance, clearanceSignatures);
        if (!credentials.isEligible(order.recipient)) revert RecipientNotEligible(order.recipient);
        address token = _requireToken(assetRef);

        uint64 units = uint64(order.units);
        _orders[order.orderId] = OrderRecord(order.recipient, units);
        lock.minted += units;
        emit Minted(order.orderId, order.lockRef, assetRef, order.recipient, units, clearance.decisionHash);
        IRWAToken(token).mint(order.recipient, units);
    }

    /// @inheritdoc IMintController
    function redeem(bytes32 lockRef, uint256 units) external whenNotPaused returns (uint256 redemptionId) {
        if (lightClient.frozen()) revert LightClientFrozen();
        if (units == 0) revert ZeroUnits();
        Lock storage lock = _requireLock(lockRef);
        if (units > lock.minted) revert RedemptionExceedsMinted(lockRef, lock.minted, units);
        bytes32 assetRef = lock.assetRef;
        address token = _requireToken(assetRef);

        lock.minted -= uint64(units);
        lock.redeemed += uint64(units);
        _assets[assetRef].encumberedUnits -= uint64(units);
        redemptionId = ++redemptionCount;
        emit Redeemed(redemptionId, lockRef, assetRef, _msgSender(), units);
        IRWAToken(token).burn(_msgSender(), units);
    }

    /// @inheritdoc IMintController
    function orderState(bytes32 orderId) external view returns (bool used, address recipient, uint64 units) {
        OrderRecord storage record = _orders[orderId];
        return (record.units != 0, record.recipient, record.units);
    }

    /// @notice EIP-712 domain separator of orders and clearances.
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @dev Every signature given must count: enough of them, each by another compliance signer, each over this clearance.
    function _requireCleared(
        MintOrder calldata order,
        ClearanceData calldata clearance,
        bytes[] calldata signatures
    ) private view {
        if (block.timestamp > clearance.expiry) revert ClearanceExpired(order.orderId, clearance.expiry);
        if (signatures.length < clearanceThreshold) {
            revert ClearanceThresholdNotMet(signatures.length, clearanceThreshold);
        }
        bytes32 digest = _hashTypedDataV4(MintOrders.hash(order, clearance));
        address previous = address(0);
        for (uint256 i = 0; i < signatures.length; ++i) {
            (address signer, ECDSA.RecoverError err, ) = ECDSA.tryRecoverCalldata(digest, signatures[i]);
            if (err != ECDSA.RecoverError.NoError) revert InvalidClearanceSignature(i);
            if (signer <= previous) revert ClearanceSignersNotIncreasing(previous, signer);
            if (!hasRole(COMPLIANCE_SIGNER_ROLE, signer)) revert NotComplianceSigner(signer);
            previous = signer;
        }
    }

    function _requireToken(bytes32 assetRef) private view returns (address token) {
        token = _assets[assetRef].token;
        if (token == address(0)) revert TokenNotRegistered(assetRef);
    }

    function _setClearanceThreshold(uint256 threshold) private {
        if (threshold == 0 || threshold > complianceSignerCount) {
            revert InvalidThreshold(threshold, complianceSignerCount);
        }
        clearanceThreshold = threshold;
        emit ClearanceThresholdSet(threshold);
    }

    function _grantRole(bytes32 role, address account) internal override returns (bool granted) {
        granted = super._grantRole(role, account);
        if (granted && role == COMPLIANCE_SIGNER_ROLE) ++complianceSignerCount;
    }

    /// @dev A signer cannot leave while the threshold needs all: appoint the successor or lower the threshold first, or pause.
    function _revokeRole(bytes32 role, address account) internal override returns (bool revoked) {
        revoked = super._revokeRole(role, account);
        if (revoked && role == COMPLIANCE_SIGNER_ROLE) {
            --complianceSignerCount;
            if (clearanceThreshold > complianceSignerCount) {
                revert InvalidThreshold(clearanceThreshold, complianceSignerCount);
            }
        }
    }
}
