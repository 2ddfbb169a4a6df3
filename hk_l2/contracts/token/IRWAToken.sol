// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title What the MintController needs of a token.
interface IRWAToken {
    /// @notice The one contract that may mint and burn.
    function controller() external view returns (address);

    /// @notice Asset whose units the token mirrors, one to one.
    function assetRef() external view returns (bytes32);

    /// @notice Creates `amount` tokens for `to`.
    function mint(address to, uint256 amount) external;

    /// @notice Destroys `amount` unfrozen tokens of `account`.
    function burn(address account, uint256 amount) external;
}
