// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {Credential, ICredentialRegistry} from "./ICredentialRegistry.sol";

/// @title Registry of who may hold: one credential per address, revoked by claim id.
/// @dev Revocation is kept per claim, never per signature or per address, so it hits every wallet of the claim at once and no
/// re-submission of the same claim can undo it.
contract CredentialRegistry is ICredentialRegistry, AccessControl {
    /// @notice May issue and renew credentials.
    bytes32 public constant CREDENTIAL_ISSUER_ROLE = keccak256("CREDENTIAL_ISSUER_ROLE");

    /// @notice May revoke claims.
    bytes32 public constant CREDENTIAL_REVOKER_ROLE = keccak256("CREDENTIAL_REVOKER_ROLE");

    uint16 private constant LAST_COUNTRY = 999;
    uint8 private constant LAST_INVESTOR_CLASS = 4;

    mapping(address account => Credential) private _credentials;

    /// @notice Whether a claim has been revoked.
    mapping(bytes32 claimId => bool) public claimRevoked;

    constructor(address admin) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Issues or renews the credential of `account`.
    function issue(
        address account,
        uint16 country,
        uint64 expiry,
        uint8 investorClass,
        bytes32 claimId
    ) external onlyRole(CREDENTIAL_ISSUER_ROLE) {
        if (account == address(0)) revert InvalidAccount(account);
        if (country == 0 || country > LAST_COUNTRY) revert InvalidCountry(country);
        if (expiry <= block.timestamp) revert ExpiryNotInFuture(expiry, block.timestamp);
        if (investorClass == 0 || investorClass > LAST_INVESTOR_CLASS) revert InvalidInvestorClass(investorClass);
        if (claimId == bytes32(0)) revert InvalidClaimId();
        if (claimRevoked[claimId]) revert ClaimAlreadyRevoked(claimId);
        _credentials[account] = Credential(claimId, expiry, country, investorClass);
        emit CredentialIssued(account, claimId, country, expiry, investorClass);
    }

    /// @notice Revokes a claim for ever, whether or not a credential carries it yet.
    function revoke(bytes32 claimId) external onlyRole(CREDENTIAL_REVOKER_ROLE) {
        if (claimId == bytes32(0)) revert InvalidClaimId();
        if (claimRevoked[claimId]) revert ClaimAlreadyRevoked(claimId);
        claimRevoked[claimId] = true;
        emit ClaimRevoked(claimId);
    }

    /// @inheritdoc ICredentialRegistry
    function isVerified(address account) external view returns (bool) {
        return isEligible(account);
    }

    /// @inheritdoc ICredentialRegistry
    function isRevoked(address account) external view returns (bool) {
        return claimRevoked[_credentials[account].claimId];
    }

    /// @inheritdoc ICredentialRegistry
    function investorCountry(address account) external view returns (uint16) {
        return _credentials[account].country;
    }

    /// @inheritdoc ICredentialRegistry
    function credentialOf(address account) external view returns (Credential memory credential, bool revoked) {
        credential = _credentials[account];
        revoked = claimRevoked[credential.claimId];
    }

    /// @inheritdoc ICredentialRegistry
    function isEligible(address account) public view returns (bool) {
        Credential storage credential = _credentials[account];
        return credential.expiry > block.timestamp && !claimRevoked[credential.claimId];
    }
}
