// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What the registry knows of one address. No personal data: the claim id is a hash that only the issuer can resolve.
/// @param claimId Hash of the credential's off-chain claim; the wallets of one investor carry the same one
/// @param expiry Second (EVM time) from which the credential no longer counts
/// @param country ISO 3166-1 numeric code
/// @param investorClass 1 retail, 2 professional individual, 3 professional corporate, 4 institutional
struct Credential {
    bytes32 claimId;
    uint64 expiry;
    uint16 country;
    uint8 investorClass;
}

/// @title Who may hold permissioned tokens.
/// @dev `isVerified` and `investorCountry` have the signatures of the ERC-3643 identity registry, so this contract serves as one.
interface ICredentialRegistry {
    /// @notice A credential was issued to `account`, replacing any earlier one.
    event CredentialIssued(
        address indexed account,
        bytes32 indexed claimId,
        uint16 country,
        uint64 expiry,
        uint8 investorClass
    );

    /// @notice The claim, and with it every credential that carries it, is revoked for ever.
    event ClaimRevoked(bytes32 indexed claimId);

    /// @notice The zero address holds nothing.
    error InvalidAccount(address account);

    /// @notice Not an ISO 3166-1 numeric code (1 to 999).
    error InvalidCountry(uint16 country);

    /// @notice Not one of the investor classes 1 to 4.
    error InvalidInvestorClass(uint8 investorClass);

    /// @notice The expiry is not in the future.
    error ExpiryNotInFuture(uint64 expiry, uint256 timestamp);

    /// @notice The zero claim id is never valid.
    error InvalidClaimId();

    /// @notice A revoked claim cannot be issued or revoked again.
    error ClaimAlreadyRevoked(bytes32 claimId);

    /// @notice Whether `account` holds a credential that is neither expired nor revoked.
    function isEligible(address account) external view returns (bool);

    /// @notice ERC-3643 name of {isEligible}.
    function isVerified(address account) external view returns (bool);

    /// @notice Whether the claim behind the credential of `account` is revoked.
    function isRevoked(address account) external view returns (bool);

    /// @notice ISO 3166-1 numeric country of `account`, zero when it holds no credential.
    function investorCountry(address account) external view returns (uint16);

    /// @notice Credential of `account` (zeroes when it holds none) and whether its claim is revoked.
    function credentialOf(address account) external view returns (Credential memory credential, bool revoked);
}
