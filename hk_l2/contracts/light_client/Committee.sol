// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.27;

import {SM2KeyRegistry} from "../crypto/SM2KeyRegistry.sol";
import {IMainlandLightClient} from "./IMainlandLightClient.sol";

/// @title Validator sets, stored as contract code so that one cold read gets a whole set.
/// @dev Code: 0x00 (so that it cannot run) | per member: midstate (32), table (20) | validatorsHash (32).
library Committee {
    /// @dev Keys and hashes of protocol.md, section 5.
    bytes32 internal constant VALIDATORS_TYPE = keccak256("lianqiao.validators.v1");
    uint256 internal constant MAX_SIZE = 64;
    uint256 internal constant MEMBER_SIZE = 52;

    /// @notice Checks a new set, hashes it and stores it.
    /// @return stored Contract that holds the set
    /// @return validatorsHash Its hash, as the mainland ledger computes it
    function create(
        SM2KeyRegistry registry,
        bytes32 chainId,
        uint64 epoch,
        bytes32[] memory orgIds,
        address[] memory tables
    ) internal returns (address stored, bytes32 validatorsHash) {
        uint256 size = orgIds.length;
        if (size == 0 || size > MAX_SIZE) revert IMainlandLightClient.InvalidSetSize(size);
        if (tables.length != size) revert IMainlandLightClient.SetLengthMismatch(size, tables.length);

        bytes memory packed;
        bytes32[] memory members = new bytes32[](size);
        for (uint256 i = 0; i < size; ++i) {
            if (i > 0 && orgIds[i] <= orgIds[i - 1]) revert IMainlandLightClient.OrgIdsNotIncreasing(i);
            address table = tables[i];
            // A key has one table, so distinct tables are distinct keys.
            for (uint256 k = 0; k < i; ++k) {
                if (tables[k] == table) revert IMainlandLightClient.DuplicateKey(table);
            }
            (bytes32 midstate, uint256 x, uint256 y) = registry.keyOf(table);
            if (midstate == 0) revert IMainlandLightClient.UnregisteredKey(table);
            members[i] = keccak256(abi.encode(orgIds[i], x, y));
            packed = abi.encodePacked(packed, midstate, table);
        }
        validatorsHash = keccak256(abi.encode(VALIDATORS_TYPE, chainId, epoch, members));

        bytes memory code = abi.encodePacked(hex"00", packed, validatorsHash);
        // PUSH2 length DUP1 PUSH1 10 RETURNDATASIZE CODECOPY RETURNDATASIZE RETURN
        bytes memory init = abi.encodePacked(hex"61", uint16(code.length), hex"80600a3d393df3", code);
        assembly ("memory-safe") {
            stored := create(0, add(init, 32), mload(init))
        }
        if (stored == address(0)) revert IMainlandLightClient.CommitteeCreationFailed();
    }

    /// @notice Reads a stored set.
    /// @return members Midstate and table of every member, MEMBER_SIZE bytes each
    /// @return validatorsHash Hash of the set
    function load(address stored) internal view returns (bytes memory members, bytes32 validatorsHash) {
        assembly ("memory-safe") {
            let length := sub(extcodesize(stored), 1)
            members := mload(0x40)
            let content := add(members, 32)
            extcodecopy(stored, content, 1, length)
            length := sub(length, 32)
            validatorsHash := mload(add(content, length))
            mstore(members, length)
            mstore(0x40, and(add(add(content, length), 31), not(31)))
        }
    }

    /// @notice Key table of member `i` in what `load` returned.
    function tableAt(bytes memory members, uint256 i) internal pure returns (address table) {
        assembly ("memory-safe") {
            // The table follows 32 bytes of midstate; members start 32 bytes after the length.
            table := shr(96, mload(add(members, add(64, mul(i, MEMBER_SIZE)))))
        }
    }

    /// @notice Number of members in what `load` returned.
    function sizeOf(bytes memory members) internal pure returns (uint256) {
        return members.length / MEMBER_SIZE;
    }

    /// @notice Signers that make a quorum: more than two thirds.
    function quorumOf(uint256 size) internal pure returns (uint256) {
        return (2 * size) / 3 + 1;
    }
}
