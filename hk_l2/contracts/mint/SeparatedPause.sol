// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

/// @title A stop that one person can pull and only another can release.
/// @dev No account holds both roles, and whoever paused cannot resume even after a change of roles.
abstract contract SeparatedPause is AccessControl, Pausable {
    /// @notice `account` already holds the role that `role` is to be kept apart from.
    error RoleConflict(address account, bytes32 role, bytes32 held);

    /// @notice The one who paused may not resume.
    error PauserMayNotResume(address account);

    /// @notice May pause.
    bytes32 public constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");

    /// @notice May resume.
    bytes32 public constant RESUMER_ROLE = keccak256("RESUMER_ROLE");

    /// @notice Who paused last.
    address public pausedBy;

    /// @notice Stops minting and redeeming.
    function pause() external onlyRole(GUARDIAN_ROLE) {
        _pause();
        pausedBy = _msgSender();
    }

    /// @notice Resumes.
    function unpause() external onlyRole(RESUMER_ROLE) {
        if (_msgSender() == pausedBy) revert PauserMayNotResume(_msgSender());
        _unpause();
    }

    function _grantRole(bytes32 role, address account) internal virtual override returns (bool) {
        if (role == GUARDIAN_ROLE && hasRole(RESUMER_ROLE, account)) revert RoleConflict(account, role, RESUMER_ROLE);
        if (role == RESUMER_ROLE && hasRole(GUARDIAN_ROLE, account)) revert RoleConflict(account, role, GUARDIAN_ROLE);
        return super._grantRole(role, account);
    }
}
