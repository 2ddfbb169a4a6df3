// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC3643} from "./IERC3643.sol";
import {IERC7943Fungible} from "./IERC7943Fungible.sol";

/// @title Balances that can be frozen in part or with their whole account, and moved by force.
/// @dev Speaks both dialects: every change of a frozen amount emits ERC-7943's absolute `Frozen` and ERC-3643's difference.
abstract contract FreezableERC20 is ERC20, IERC3643, IERC7943Fungible {
    /// @notice A forced transfer to the same account would only unfreeze, around the freezing role.
    error ForcedTransferToSelf(address account);

    /// @notice ERC-3643 freezes in part what is there.
    error FreezeExceedsBalance(address account, uint256 frozen, uint256 balance);

    /// @notice Less is frozen than was to be released.
    error UnfreezeExceedsFrozen(address account, uint256 amount, uint256 frozen);

    mapping(address account => uint256) private _frozenTokens;
    mapping(address account => bool) private _frozenAccounts;

    /// @inheritdoc IERC7943Fungible
    function forcedTransfer(
        address from,
        address to,
        uint256 amount
    ) external virtual override(IERC3643, IERC7943Fungible) returns (bool);

    /// @inheritdoc IERC3643
    function isFrozen(address account) public view returns (bool) {
        return _frozenAccounts[account];
    }

    /// @inheritdoc IERC7943Fungible
    function getFrozenTokens(address account) public view override(IERC3643, IERC7943Fungible) returns (uint256) {
        return _frozenTokens[account];
    }

    /// @notice Part of the balance that is not frozen.
    function unfrozenBalanceOf(address account) public view returns (uint256) {
        uint256 balance = balanceOf(account);
        uint256 frozen = _frozenTokens[account];
        return frozen < balance ? balance - frozen : 0;
    }

    function _setAccountFrozen(address account, bool frozen) internal {
        _frozenAccounts[account] = frozen;
        emit AddressFrozen(account, frozen, _msgSender());
    }

    function _setFrozenTokens(address account, uint256 amount) internal {
        uint256 previous = _frozenTokens[account];
        _frozenTokens[account] = amount;
        emit Frozen(account, amount);
        if (amount > previous) emit TokensFrozen(account, amount - previous);
        if (amount < previous) emit TokensUnfrozen(account, previous - amount);
    }

    function _freezePartial(address account, uint256 amount) internal {
        uint256 frozen = _frozenTokens[account] + amount;
        if (frozen > balanceOf(account)) revert FreezeExceedsBalance(account, frozen, balanceOf(account));
        _setFrozenTokens(account, frozen);
    }

    function _unfreezePartial(address account, uint256 amount) internal {
        uint256 frozen = _frozenTokens[account];
        if (amount > frozen) revert UnfreezeExceedsFrozen(account, amount, frozen);
        _setFrozenTokens(account, frozen - amount);
    }

    /// @dev Moves tokens whatever is frozen. Only as much is unfrozen as the transfer takes out of the frozen part, and before
    /// the transfer, as ERC-7943 demands.
    function _forceTransfer(address from, address to, uint256 amount) internal {
        if (from == to) revert ForcedTransferToSelf(from);
        uint256 unfrozen = unfrozenBalanceOf(from);
        if (amount > unfrozen && amount <= balanceOf(from)) {
            _setFrozenTokens(from, _frozenTokens[from] - (amount - unfrozen));
        }
        ERC20._update(from, to, amount);
        emit ForcedTransfer(from, to, amount);
    }

    function _requireUnfrozen(address from, uint256 amount) internal view {
        uint256 unfrozen = unfrozenBalanceOf(from);
        if (amount > unfrozen && amount <= balanceOf(from)) {
            revert ERC7943InsufficientUnfrozenBalance(from, amount, unfrozen);
        }
    }
}
