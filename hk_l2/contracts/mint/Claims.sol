// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

// Claims of the mainland's export log: docs/protocol.md, section 4.

/// @notice What every claim begins with.
struct ClaimEnvelope {
    bytes32 claimType;
    bytes32 chainId;
    bytes32 destination;
    bytes32 assetRef;
    uint64 policyVersion;
    bytes32 decisionHash;
    bytes32 evidenceRoot;
    uint64 height;
    uint64 timeMs;
}

/// @notice A de-identified field.
struct ExportedField {
    string name;
    uint8 transform;
    string value;
}

/// @notice An asset and how many units it has.
struct AssetClaim {
    ClaimEnvelope envelope;
    bytes32 profile;
    uint64 unitCount;
    ExportedField[] fields;
}

/// @notice Telemetry of one interval.
struct TelemetryClaim {
    ClaimEnvelope envelope;
    uint64 intervalStartMs;
    uint64 intervalEndMs;
    uint64 energyWh;
    uint64 cumulativeEnergyWh;
    uint64 readingCount;
    uint64 flaggedCount;
    ExportedField[] fields;
}

/// @notice Units locked on the mainland for an issuer.
struct UnitLockClaim {
    ClaimEnvelope envelope;
    bytes32 lockRef;
    uint64 units;
    address issuer;
    string filingReference;
    uint64 approvalExpiryMs;
    uint64 expiryMs;
    ExportedField[] fields;
}

/// @title Strict decoding of claims: whatever does not re-encode to the very same bytes is refused.
library Claims {
    /// @notice The bytes are not the one canonical encoding of their content.
    error ClaimNotCanonical();

    /// @notice The claim is of another type.
    error WrongClaimType(bytes32 given, bytes32 expected);

    bytes32 internal constant ASSET_CLAIM = keccak256("lianqiao.claim.AssetClaim.v1");
    bytes32 internal constant TELEMETRY_CLAIM = keccak256("lianqiao.claim.TelemetryClaim.v1");
    bytes32 internal constant UNIT_LOCK_CLAIM = keccak256("lianqiao.claim.UnitLockClaim.v1");

    /// @dev First word: offset of the one dynamic tuple. Second word: claim type.
    uint256 private constant TYPE_END = 64;

    /// @notice Leaf of a claim in the export log.
    function leafOf(bytes calldata claim) internal pure returns (bytes32) {
        return keccak256(bytes.concat(bytes1(0x00), claim));
    }

    function decodeAsset(bytes calldata claim) internal pure returns (AssetClaim memory decoded) {
        _requireType(claim, ASSET_CLAIM);
        decoded = abi.decode(claim, (AssetClaim));
        if (keccak256(abi.encode(decoded)) != keccak256(claim)) revert ClaimNotCanonical();
    }

    function decodeTelemetry(bytes calldata claim) internal pure returns (TelemetryClaim memory decoded) {
        _requireType(claim, TELEMETRY_CLAIM);
        decoded = abi.decode(claim, (TelemetryClaim));
        if (keccak256(abi.encode(decoded)) != keccak256(claim)) revert ClaimNotCanonical();
    }

    function decodeUnitLock(bytes calldata claim) internal pure returns (UnitLockClaim memory decoded) {
        _requireType(claim, UNIT_LOCK_CLAIM);
        decoded = abi.decode(claim, (UnitLockClaim));
        if (keccak256(abi.encode(decoded)) != keccak256(claim)) revert ClaimNotCanonical();
    }

    /// @dev Asked before decoding, so that a claim of another type is named as such and not as a decoding failure.
    function _requireType(bytes calldata claim, bytes32 expected) private pure {
        if (claim.length < TYPE_END) revert ClaimNotCanonical();
        bytes32 given = bytes32(claim[32:TYPE_END]);
        if (given != expected) revert WrongClaimType(given, expected);
    }
}
