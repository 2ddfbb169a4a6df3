// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {Credential, ICredentialRegistry} from "../compliance/ICredentialRegistry.sol";
import {IERC3643Compliance} from "../compliance/IERC3643Compliance.sol";
import {FreezableERC20} from "./FreezableERC20.sol";
import {IERC3643} from "./IERC3643.sol";
import {IERC7943Fungible} from "./IERC7943Fungible.sol";
import {IRWAToken} from "./IRWAToken.sol";

/// @title Permissioned token over one asset: one token is one locked mainland unit.
/// @notice ERC-20 with the token interfaces of ERC-3643 and ERC-7943.
/// - Only the controller mints and burns, and burns only what a holder could have sent: there is no confiscation by burning.
/// - To receive, an account needs an eligible credential and must not be frozen. To send, its claim must not be revoked; a
///   credential that merely expired still lets the holder out.
/// - Pausing stops mints, burns and transfers; the enforcement role keeps working.
/// @dev `onchainID` is kept for ERC-3643 readers and may be zero: no ONCHAINID contract is deployed; identity is the credential.
contract RWAToken is FreezableERC20, Pausable, AccessControl, IRWAToken {
    /// @notice Only the controller may mint and burn.
    error NotController(address caller);

    /// @notice Lists of a batch differ in length.
    error BatchLengthMismatch();

    /// @notice The address is not a contract.
    error NotContract(address account);

    /// @notice The two wallets do not carry the same credential claim, so they are not shown to be of one investor.
    error RecoveryClaimMismatch(address lostWallet, address newWallet);

    /// @notice There is nothing to recover.
    error NothingToRecover(address lostWallet);

    /// @notice Pauses and resumes the token.
    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");

    /// @notice Freezes and unfreezes accounts and amounts.
    bytes32 public constant FREEZER_ROLE = keccak256("FREEZER_ROLE");

    /// @notice Moves tokens by force and recovers lost wallets.
    bytes32 public constant ENFORCER_ROLE = keccak256("ENFORCER_ROLE");

    string private constant VERSION = "1.0.0";

    /// @inheritdoc IRWAToken
    address public immutable controller;

    /// @inheritdoc IRWAToken
    bytes32 public immutable assetRef;

    string private _tokenName;
    string private _tokenSymbol;
    ICredentialRegistry private _credentials;
    IERC3643Compliance private _compliance;

    /// @inheritdoc IERC3643
    address public onchainID;

    constructor(
        string memory name_,
        string memory symbol_,
        bytes32 assetRef_,
        address controller_,
        ICredentialRegistry credentials_,
        IERC3643Compliance compliance_,
        address admin
    ) ERC20("", "") {
        if (controller_.code.length == 0) revert NotContract(controller_);
        _tokenName = name_;
        _tokenSymbol = symbol_;
        assetRef = assetRef_;
        controller = controller_;
        _setIdentityRegistry(address(credentials_));
        _setCompliance(address(compliance_));
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        emit UpdatedTokenInformation(name_, symbol_, decimals(), VERSION, address(0));
    }

    // ------------------------------------------------------------------------------------------------ administration

    /// @inheritdoc IERC3643
    function setName(string calldata name_) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _tokenName = name_;
        emit UpdatedTokenInformation(name_, symbol(), decimals(), VERSION, onchainID);
    }

    /// @inheritdoc IERC3643
    function setSymbol(string calldata symbol_) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _tokenSymbol = symbol_;
        emit UpdatedTokenInformation(name(), symbol_, decimals(), VERSION, onchainID);
    }

    /// @inheritdoc IERC3643
    function setOnchainID(address onchainID_) external onlyRole(DEFAULT_ADMIN_ROLE) {
        onchainID = onchainID_;
        emit UpdatedTokenInformation(name(), symbol(), decimals(), VERSION, onchainID_);
    }

    /// @inheritdoc IERC3643
    function setIdentityRegistry(address identityRegistry_) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _setIdentityRegistry(identityRegistry_);
    }

    /// @inheritdoc IERC3643
    function setCompliance(address compliance_) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _compliance.unbindToken(address(this));
        _setCompliance(compliance_);
    }

    /// @inheritdoc IERC3643
    function pause() external onlyRole(PAUSER_ROLE) {
        _pause();
    }

    /// @inheritdoc IERC3643
    function unpause() external onlyRole(PAUSER_ROLE) {
        _unpause();
    }

    // ------------------------------------------------------------------------------------------------ supply

    /// @inheritdoc IRWAToken
    function mint(address to, uint256 amount) external override(IERC3643, IRWAToken) onlyController {
        _mint(to, amount);
    }

    /// @inheritdoc IRWAToken
    function burn(address account, uint256 amount) external override(IERC3643, IRWAToken) onlyController {
        _burn(account, amount);
    }

    /// @inheritdoc IERC3643
    function batchMint(address[] calldata toList, uint256[] calldata amounts) external onlyController {
        if (toList.length != amounts.length) revert BatchLengthMismatch();
        for (uint256 i = 0; i < toList.length; ++i) _mint(toList[i], amounts[i]);
    }

    /// @inheritdoc IERC3643
    function batchBurn(address[] calldata accounts, uint256[] calldata amounts) external onlyController {
        if (accounts.length != amounts.length) revert BatchLengthMismatch();
        for (uint256 i = 0; i < accounts.length; ++i) _burn(accounts[i], amounts[i]);
    }

    /// @inheritdoc IERC3643
    function batchTransfer(address[] calldata toList, uint256[] calldata amounts) external {
        if (toList.length != amounts.length) revert BatchLengthMismatch();
        for (uint256 i = 0; i < toList.length; ++i) _transfer(_msgSender(), toList[i], amounts[i]);
    }

    // ------------------------------------------------------------------------------------------------ freezing

    /// @inheritdoc IERC3643
    function setAddressFrozen(address account, bool freeze) external onlyRole(FREEZER_ROLE) {
        _setAccountFrozen(account, freeze);
    }

    /// @inheritdoc IERC7943Fungible
    function setFrozenTokens(address account, uint256 amount) external onlyRole(FREEZER_ROLE) returns (bool) {
        _setFrozenTokens(account, amount);
        return true;
    }

    /// @inheritdoc IERC3643
    function freezePartialTokens(address account, uint256 amount) external onlyRole(FREEZER_ROLE) {
        _freezePartial(account, amount);
    }

    /// @inheritdoc IERC3643
    function unfreezePartialTokens(address account, uint256 amount) external onlyRole(FREEZER_ROLE) {
        _unfreezePartial(account, amount);
    }

    /// @inheritdoc IERC3643
    function batchSetAddressFrozen(
        address[] calldata accounts,
        bool[] calldata freeze
    ) external onlyRole(FREEZER_ROLE) {
        if (accounts.length != freeze.length) revert BatchLengthMismatch();
        for (uint256 i = 0; i < accounts.length; ++i) _setAccountFrozen(accounts[i], freeze[i]);
    }

    /// @inheritdoc IERC3643
    function batchFreezePartialTokens(
        address[] calldata accounts,
        uint256[] calldata amounts
    ) external onlyRole(FREEZER_ROLE) {
        if (accounts.length != amounts.length) revert BatchLengthMismatch();
        for (uint256 i = 0; i < accounts.length; ++i) _freezePartial(accounts[i], amounts[i]);
    }

    /// @inheritdoc IERC3643
    function batchUnfreezePartialTokens(
        address[] calldata accounts,
        uint256[] calldata amounts
    ) external onlyRole(FREEZER_ROLE) {
        if (accounts.length != amounts.length) revert BatchLengthMismatch();
        for (uint256 i = 0; i < accounts.length; ++i) _unfreezePartial(accounts[i], amounts[i]);
    }

    // ------------------------------------------------------------------------------------------------ enforcement

    /// @notice Takes tokens by legal order, frozen or not. The recipient must be eligible; the sender and the offering rules
    /// are not asked.
    function forcedTransfer(
        address from,
        address to,
        uint256 amount
    ) external override onlyRole(ENFORCER_ROLE) returns (bool) {
        _enforce(from, to, amount);
        return true;
    }

    /// @inheritdoc IERC3643
    function batchForcedTransfer(
        address[] calldata fromList,
        address[] calldata toList,
        uint256[] calldata amounts
    ) external onlyRole(ENFORCER_ROLE) {
        if (fromList.length != toList.length || toList.length != amounts.length) revert BatchLengthMismatch();
        for (uint256 i = 0; i < fromList.length; ++i) _enforce(fromList[i], toList[i], amounts[i]);
    }

    /// @notice Moves the whole balance of a lost wallet, and what is frozen of it, to another wallet of the same investor.
    /// @dev Both wallets must carry the same credential claim. A frozen account stays frozen under its new address: recovery
    /// is no way out of a freeze. `investorOnchainID` is only echoed in the event.
    function recoveryAddress(
        address lostWallet,
        address newWallet,
        address investorOnchainID
    ) external onlyRole(ENFORCER_ROLE) returns (bool) {
        (Credential memory lost, ) = _credentials.credentialOf(lostWallet);
        (Credential memory found, ) = _credentials.credentialOf(newWallet);
        if (lost.claimId == bytes32(0) || lost.claimId != found.claimId) {
            revert RecoveryClaimMismatch(lostWallet, newWallet);
        }
        uint256 amount = balanceOf(lostWallet);
        if (amount == 0) revert NothingToRecover(lostWallet);
        uint256 frozen = getFrozenTokens(lostWallet);
        _enforce(lostWallet, newWallet, amount);
        if (frozen > 0) {
            if (getFrozenTokens(lostWallet) > 0) _setFrozenTokens(lostWallet, 0);
            _setFrozenTokens(newWallet, getFrozenTokens(newWallet) + frozen);
        }
        if (isFrozen(lostWallet)) _setAccountFrozen(newWallet, true);
        emit RecoverySuccess(lostWallet, newWallet, investorOnchainID);
        return true;
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @inheritdoc IERC3643
    function identityRegistry() external view returns (address) {
        return address(_credentials);
    }

    /// @inheritdoc IERC3643
    function compliance() external view returns (address) {
        return address(_compliance);
    }

    /// @inheritdoc IERC7943Fungible
    function canTransfer(address from, address to, uint256 amount) external view returns (bool) {
        if (paused() || !canSend(from) || !canReceive(to)) return false;
        // A lack of balance is not a permissioned rule: ERC-20 itself refuses that.
        if (amount > unfrozenBalanceOf(from) && amount <= balanceOf(from)) return false;
        return _compliance.canTransfer(from, to, amount);
    }

    /// @inheritdoc IERC3643
    function version() external pure returns (string memory) {
        return VERSION;
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) public view override(AccessControl, IERC165) returns (bool) {
        return
            interfaceId == type(IERC7943Fungible).interfaceId ||
            interfaceId == type(IERC20).interfaceId ||
            super.supportsInterface(interfaceId);
    }

    /// @inheritdoc IERC7943Fungible
    function canSend(address account) public view returns (bool) {
        return account != address(0) && !isFrozen(account) && !_credentials.isRevoked(account);
    }

    /// @inheritdoc IERC7943Fungible
    function canReceive(address account) public view returns (bool) {
        return account != address(0) && !isFrozen(account) && _credentials.isVerified(account);
    }

    /// @notice Name of the token.
    function name() public view override returns (string memory) {
        return _tokenName;
    }

    /// @notice Symbol of the token.
    function symbol() public view override returns (string memory) {
        return _tokenSymbol;
    }

    /// @notice One token is one mainland unit; units are not divisible.
    function decimals() public pure override returns (uint8) {
        return 0;
    }

    // ------------------------------------------------------------------------------------------------ internals

    /// @dev Every mint, burn and transfer that is not enforcement.
    function _update(address from, address to, uint256 amount) internal override whenNotPaused {
        if (from != address(0)) {
            if (!canSend(from)) revert ERC7943CannotSend(from);
            _requireUnfrozen(from, amount);
        }
        if (to != address(0)) {
            if (!canReceive(to)) revert ERC7943CannotReceive(to);
            if (!_compliance.canTransfer(from, to, amount)) revert ERC7943CannotTransfer(from, to, amount);
        }
        super._update(from, to, amount);
        if (from == address(0)) _compliance.created(to, amount);
        else if (to == address(0)) _compliance.destroyed(from, amount);
        else _compliance.transferred(from, to, amount);
    }

    function _enforce(address from, address to, uint256 amount) private {
        if (!canReceive(to)) revert ERC7943CannotReceive(to);
        _forceTransfer(from, to, amount);
        _compliance.transferred(from, to, amount);
    }

    function _setIdentityRegistry(address identityRegistry_) private {
        if (identityRegistry_.code.length == 0) revert NotContract(identityRegistry_);
        _credentials = ICredentialRegistry(identityRegistry_);
        emit IdentityRegistryAdded(identityRegistry_);
    }

    function _setCompliance(address compliance_) private {
        if (compliance_.code.length == 0) revert NotContract(compliance_);
        _compliance = IERC3643Compliance(compliance_);
        _compliance.bindToken(address(this));
        emit ComplianceAdded(compliance_);
    }

    modifier onlyController() {
        if (_msgSender() != controller) revert NotController(_msgSender());
        _;
    }
}
