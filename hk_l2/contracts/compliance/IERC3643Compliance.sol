// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Compliance contract of an ERC-3643 token, declared from the text of the standard.
interface IERC3643Compliance {
    /// @notice A token was bound.
    event TokenBound(address _token);

    /// @notice A token was unbound.
    event TokenUnbound(address _token);

    /// @notice Binds `_token`.
    function bindToken(address _token) external;

    /// @notice Unbinds `_token`.
    function unbindToken(address _token) external;

    /// @notice Tells the contract of a transfer that happened.
    function transferred(address _from, address _to, uint256 _amount) external;

    /// @notice Tells the contract of a mint that happened.
    function created(address _to, uint256 _amount) external;

    /// @notice Tells the contract of a burn that happened.
    function destroyed(address _from, uint256 _amount) external;

    /// @notice Whether `_token` is bound.
    function isTokenBound(address _token) external view returns (bool);

    /// @notice The bound token.
    function getTokenBound() external view returns (address);

    /// @notice Whether the rules allow the transfer; `_from` is zero for a mint.
    function canTransfer(address _from, address _to, uint256 _amount) external view returns (bool);
}
