// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

/// @title ERC-7943 (final) for fungible tokens, declared from the text of the standard.
/// @dev Interface id 0x3edbb4c4.
interface IERC7943Fungible is IERC165 {
    /// @notice `amount` was taken from one account and given to another.
    event ForcedTransfer(address indexed from, address indexed to, uint256 amount);

    /// @notice The frozen amount of `account` is now `amount`.
    event Frozen(address indexed account, uint256 amount);

    /// @notice `account` may not send.
    error ERC7943CannotSend(address account);

    /// @notice `account` may not receive.
    error ERC7943CannotReceive(address account);

    /// @notice The rules forbid this transfer.
    error ERC7943CannotTransfer(address from, address to, uint256 amount);

    /// @notice `amount` is within the balance of `account` but beyond its unfrozen part.
    error ERC7943InsufficientUnfrozenBalance(address account, uint256 amount, uint256 unfrozen);

    /// @notice Takes `amount` from `from` and gives it to `to`, frozen or not.
    function forcedTransfer(address from, address to, uint256 amount) external returns (bool result);

    /// @notice Sets the frozen amount of `account`; it may exceed the balance.
    function setFrozenTokens(address account, uint256 amount) external returns (bool result);

    /// @notice Whether `account` may send at all. Never reverts.
    function canSend(address account) external view returns (bool allowed);

    /// @notice Whether `account` may receive at all. Never reverts.
    function canReceive(address account) external view returns (bool allowed);

    /// @notice Frozen amount of `account`; may exceed the balance.
    function getFrozenTokens(address account) external view returns (uint256 amount);

    /// @notice Whether the rules allow this transfer now. Never reverts.
    function canTransfer(address from, address to, uint256 amount) external view returns (bool allowed);
}
