// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Credential, ICredentialRegistry} from "./ICredentialRegistry.sol";
import {IERC3643Compliance} from "./IERC3643Compliance.sol";

/// @title Offering rules of one token: excluded countries, least investor class, largest holding.
/// @notice Unbound, it allows nothing. All rules are looked up at the time of the transfer, so the hooks keep no state.
contract TransferCompliance is IERC3643Compliance, AccessControl {
    /// @notice The rules changed.
    event RulesSet(uint8 minInvestorClass, uint64 maxHolding);

    /// @notice A country was excluded or admitted.
    event CountryExclusionSet(uint16 indexed country, bool excluded);

    /// @notice Another token is bound.
    error AlreadyBound(address token);

    /// @notice The caller may not do this: it is neither the token concerned nor an administrator.
    error NotTokenOrAdmin(address caller);

    /// @notice The caller is not the bound token.
    error NotBoundToken(address caller);

    /// @notice May change the rules.
    bytes32 public constant RULES_ROLE = keccak256("RULES_ROLE");

    /// @notice Credentials that the rules are applied to.
    ICredentialRegistry public immutable credentials;

    /// @notice Bound token; one for the contract's life unless unbound.
    address private _token;

    /// @notice Largest balance a holder may reach by a mint or transfer; zero for no limit.
    uint64 public maxHolding;

    /// @notice Least investor class that may receive; zero for any.
    uint8 public minInvestorClass;

    /// @notice Countries (ISO 3166-1 numeric) whose investors may not receive.
    mapping(uint16 country => bool) public countryExcluded;

    constructor(ICredentialRegistry credentials_, address admin) {
        credentials = credentials_;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Sets the least investor class and the largest holding.
    function setRules(uint8 minInvestorClass_, uint64 maxHolding_) external onlyRole(RULES_ROLE) {
        minInvestorClass = minInvestorClass_;
        maxHolding = maxHolding_;
        emit RulesSet(minInvestorClass_, maxHolding_);
    }

    /// @notice Excludes or admits the investors of a country.
    function setCountryExcluded(uint16 country, bool excluded) external onlyRole(RULES_ROLE) {
        countryExcluded[country] = excluded;
        emit CountryExclusionSet(country, excluded);
    }

    /// @inheritdoc IERC3643Compliance
    function bindToken(address token) external onlyTokenOrAdmin(token) {
        if (_token != address(0)) revert AlreadyBound(_token);
        _token = token;
        emit TokenBound(token);
    }

    /// @inheritdoc IERC3643Compliance
    function unbindToken(address token) external onlyTokenOrAdmin(token) {
        if (_token != token) revert NotBoundToken(token);
        _token = address(0);
        emit TokenUnbound(token);
    }

    /// @inheritdoc IERC3643Compliance
    function transferred(address, address, uint256) external onlyBoundToken {}

    /// @inheritdoc IERC3643Compliance
    function created(address, uint256) external onlyBoundToken {}

    /// @inheritdoc IERC3643Compliance
    function destroyed(address, uint256) external onlyBoundToken {}

    /// @inheritdoc IERC3643Compliance
    function isTokenBound(address token) external view returns (bool) {
        return token != address(0) && _token == token;
    }

    /// @inheritdoc IERC3643Compliance
    function getTokenBound() external view returns (address) {
        return _token;
    }

    /// @inheritdoc IERC3643Compliance
    function canTransfer(address from, address to, uint256 amount) external view returns (bool) {
        address token = _token;
        if (token == address(0)) return false;
        (Credential memory credential, ) = credentials.credentialOf(to);
        if (credential.investorClass < minInvestorClass || countryExcluded[credential.country]) return false;
        if (maxHolding == 0 || from == to) return true;
        uint256 balance = IERC20(token).balanceOf(to);
        return amount <= maxHolding && balance <= maxHolding - amount;
    }

    modifier onlyBoundToken() {
        if (msg.sender != _token) revert NotBoundToken(msg.sender);
        _;
    }

    modifier onlyTokenOrAdmin(address token) {
        if (msg.sender != token && !hasRole(DEFAULT_ADMIN_ROLE, msg.sender)) revert NotTokenOrAdmin(msg.sender);
        _;
    }
}
