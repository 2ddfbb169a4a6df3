// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.27;

/// @title Proofs of an append-only log: RFC 9162 Merkle trees with Keccak-256.
/// @dev leaf = keccak256(0x00 || data), node = keccak256(0x01 || left || right). Strict: the index lies below the size, and the
/// proof is used up exactly.
library MerkleLog {
    /// @notice Hash of the leaf that holds `data`.
    function leafHash(bytes calldata data) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x00), data));
    }

    /// @notice Whether `leaf` is at position `index` of the log of `size` leaves with root `root` (RFC 9162 section 2.1.3.2).
    /// @dev Two loops. While the paths of `index` and of the last leaf differ, the lowest bit of `index` says on which side the
    /// sibling is. From there on siblings are on the left, and exist only for set bits. Several sizes can share one path, so
    /// `size` must come from where `root` comes from.
    function verifyInclusion(
        bytes32 leaf,
        uint256 index,
        uint256 size,
        bytes32[] calldata proof,
        bytes32 root
    ) internal pure returns (bool ok) {
        if (index >= size) return false;
        assembly ("memory-safe") {
            // Scratch: a byte 0x01, then left and right child.
            let node := mload(0x40)
            mstore(node, 1)
            node := add(node, 31)
            let left := add(node, 1)
            let right := add(node, 33)
            let next := proof.offset
            let last := sub(size, 1)
            for {} sub(index, last) {} {
                let side := shl(5, and(index, 1))
                mstore(add(left, side), leaf)
                mstore(sub(right, side), calldataload(next))
                leaf := keccak256(node, 65)
                next := add(next, 32)
                index := shr(1, index)
                last := shr(1, last)
            }
            for {} index { index := shr(1, index) } {
                if and(index, 1) {
                    mstore(left, calldataload(next))
                    mstore(right, leaf)
                    leaf := keccak256(node, 65)
                    next := add(next, 32)
                }
            }
            ok := and(eq(next, add(proof.offset, shl(5, proof.length))), eq(leaf, root))
        }
    }

    /// @notice Whether the log of size `first` is a prefix of the log of size `second` (RFC 9162 section 2.1.4.2).
    /// @dev An empty log proves nothing and is refused; equal sizes need equal roots and an empty proof.
    function verifyConsistency(
        uint256 first,
        uint256 second,
        bytes32 firstRoot,
        bytes32 secondRoot,
        bytes32[] calldata proof
    ) internal pure returns (bool ok) {
        if (first == 0 || first > second) return false;
        if (first == second) return proof.length == 0 && firstRoot == secondRoot;
        assembly ("memory-safe") {
            let node := mload(0x40)
            mstore(node, 1)
            node := add(node, 31)
            let left := add(node, 1)
            let right := add(node, 33)
            let next := proof.offset
            // A first size that is a power of two is a whole subtree: its root starts the proof.
            let old := firstRoot
            if and(first, sub(first, 1)) {
                old := calldataload(next)
                next := add(next, 32)
            }
            let new_ := old
            let index := sub(first, 1)
            let last := sub(second, 1)
            for {} and(index, 1) {} {
                index := shr(1, index)
                last := shr(1, last)
            }
            for {} sub(index, last) {} {
                switch and(index, 1)
                case 0 {
                    mstore(left, new_)
                    mstore(right, calldataload(next))
                    new_ := keccak256(node, 65)
                }
                default {
                    mstore(left, calldataload(next))
                    mstore(right, old)
                    old := keccak256(node, 65)
                    mstore(right, new_)
                    new_ := keccak256(node, 65)
                }
                next := add(next, 32)
                index := shr(1, index)
                last := shr(1, last)
            }
            for {} index { index := shr(1, index) } {
                if and(index, 1) {
                    mstore(left, calldataload(next))
                    mstore(right, old)
                    old := keccak256(node, 65)
                    mstore(right, new_)
                    new_ := keccak256(node, 65)
                    next := add(next, 32)
                }
            }
            ok := and(
                eq(next, add(proof.offset, shl(5, proof.length))),
                and(eq(old, firstRoot), eq(new_, secondRoot))
            )
        }
    }
}
