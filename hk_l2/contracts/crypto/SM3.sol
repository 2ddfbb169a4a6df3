// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.27;

/// @title SM3 hash (GB/T 32905-2016).
/// @dev One message at a time, about 50k gas per 64 bytes: for set-up. Signatures are checked by SM2QuorumVerifier, which
/// hashes in four lanes.
library SM3 {
    /// @dev Initial value, as eight words side by side.
    uint256 internal constant IV = 0x7380166f4914b2b9172442d7da8a0600a96f30bc163138aae38dee4db0fb0e4e;

    /// @notice Hash of a message.
    function hash(bytes memory message) internal pure returns (bytes32) {
        uint256 length = message.length;
        // Padding: 0x80, zeros up to 56 mod 64, length in bits.
        bytes memory zeros = new bytes((119 - (length % 64)) % 64);
        bytes memory padded = abi.encodePacked(message, bytes1(0x80), zeros, uint64(length * 8));
        return bytes32(compress(IV, padded));
    }

    /// @notice Chaining value after the whole 64-byte blocks of `blocks`, starting from `state`.
    function compress(uint256 state, bytes memory blocks) internal pure returns (uint256) {
        for (uint256 offset = 0; offset + 64 <= blocks.length; offset += 64) {
            state = _compressBlock(state, blocks, offset);
        }
        return state;
    }

    /// @dev The eight registers stay packed in one word between rounds, A in the highest bits: a round is a shift by one
    /// register and two corrections. Words of the expanded message are kept one per memory word.
    function _compressBlock(uint256 state, bytes memory blocks, uint256 offset) private pure returns (uint256 result) {
        assembly ("memory-safe") {
            function rotate(x, n) -> y {
                y := and(or(shl(n, x), shr(sub(32, n), x)), 0xffffffff)
            }
            let w := mload(0x40) // scratch beyond the free memory pointer
            let source := add(add(blocks, 32), offset)
            for { let j := 0 } lt(j, 16) { j := add(j, 1) } {
                mstore(add(w, shl(5, j)), shr(224, mload(add(source, shl(2, j)))))
            }
            for { let j := 16 } lt(j, 68) { j := add(j, 1) } {
                let at := add(w, shl(5, j))
                let x := xor(xor(mload(sub(at, 512)), mload(sub(at, 288))), rotate(mload(sub(at, 96)), 15))
                x := xor(x, xor(rotate(x, 15), rotate(x, 23)))
                mstore(at, xor(xor(x, rotate(mload(sub(at, 416)), 7)), mload(sub(at, 192))))
            }
            result := state
            let constant_ := 0x79cc4519
            for { let j := 0 } lt(j, 64) { j := add(j, 1) } {
                if eq(j, 16) { constant_ := 0x9d8a7a87 } // 0x7a879d8a <<< 16
                let a := shr(224, result)
                let b := and(shr(192, result), 0xffffffff)
                let c := and(shr(160, result), 0xffffffff)
                let e := and(shr(96, result), 0xffffffff)
                let f := and(shr(64, result), 0xffffffff)
                let g := and(shr(32, result), 0xffffffff)
                let a12 := rotate(a, 12)
                let ss1 := rotate(and(add(add(a12, e), constant_), 0xffffffff), 7)
                let ff := xor(xor(a, b), c)
                let gg := xor(xor(e, f), g)
                if gt(j, 15) {
                    ff := or(and(or(a, b), c), and(a, b))
                    gg := xor(and(xor(f, g), e), g)
                }
                let at := add(w, shl(5, j))
                // tt1 = FF + D + SS2 + W'_j; tt2 = GG + H + SS1 + W_j
                let tt1 := add(ff, and(shr(128, result), 0xffffffff))
                tt1 := add(tt1, add(xor(ss1, a12), xor(mload(at), mload(add(at, 128)))))
                let tt2 := and(add(add(gg, and(result, 0xffffffff)), add(ss1, mload(at))), 0xffffffff)
                result := or(or(shl(224, and(tt1, 0xffffffff)), shl(192, a)), or(shl(160, rotate(b, 9)), shl(128, c)))
                tt2 := xor(tt2, xor(rotate(tt2, 9), rotate(tt2, 17)))
                result := or(result, or(or(shl(96, tt2), shl(64, e)), or(shl(32, rotate(f, 19)), g)))
                constant_ := rotate(constant_, 1)
            }
            result := xor(result, state)
        }
    }
}
