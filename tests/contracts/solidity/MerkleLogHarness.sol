// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.27;

import {MerkleLog} from "../../../hk_l2/contracts/light_client/MerkleLog.sol";

/// @title Opens the functions of MerkleLog to tests.
contract MerkleLogHarness {
    function leafHash(bytes calldata data) external pure returns (bytes32) {
        return MerkleLog.leafHash(data);
    }

    function verifyInclusion(
        bytes32 leaf,
        uint256 index,
        uint256 size,
        bytes32[] calldata proof,
        bytes32 root
    ) external pure returns (bool) {
        return MerkleLog.verifyInclusion(leaf, index, size, proof, root);
    }

    function verifyConsistency(
        uint256 first,
        uint256 second,
        bytes32 firstRoot,
        bytes32 secondRoot,
        bytes32[] calldata proof
    ) external pure returns (bool) {
        return MerkleLog.verifyConsistency(first, second, firstRoot, secondRoot, proof);
    }
}
