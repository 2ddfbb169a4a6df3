// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.27;

/// @title SM2 curve constants (GB/T 32918.5-2017) and the construction of a key's comb table.
/// @dev Points are in XYZZ coordinates: x = X/ZZ, y = Y/ZZZ, ZZ^3 = ZZZ^2; nY stands for -Y. The block of assembly that adds
/// an affine point appears twice and the doubling once, written out: as functions they would spill to memory.
library SM2Table {
    uint256 internal constant P = 0xfffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffff;
    uint256 internal constant B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93;
    uint256 internal constant GX = 0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7;
    uint256 internal constant GY = 0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0;

    /// @dev 2 combs of 128 points of 64 bytes.
    uint256 internal constant SIZE = 16384;

    /// @notice Whether (x, y) is an affine point of the curve; the point at infinity is not.
    function isOnCurve(uint256 x, uint256 y) internal pure returns (bool ok) {
        assembly ("memory-safe") {
            let p := P
            let right := addmod(mulmod(addmod(mulmod(x, x, p), sub(p, 3), p), x, p), B, p)
            ok := and(and(lt(x, p), lt(y, p)), eq(mulmod(y, y, p), right))
        }
    }

    /// @notice Writes the table of the point Q = (px, py) to memory at `dst` (SIZE bytes).
    /// @dev Entry v*128+k (v = 0, 1; k = 0..127), 64 bytes each, is the point
    ///   2^(16 v) * (2^224 * Q + sum over i < 7 of (bit i of k ? 1 : -1) * 2^(32 i) * Q), stored as (p - x, y).
    /// Reverts if a sum meets infinity or equal points, which happens for special keys only.
    function make(uint256 px, uint256 py, uint256 dst) internal view {
        assembly ("memory-safe") {
            let p := P
            let pm2 := sub(p, 2)
            function inv(a, p_) -> r {
                let f := mload(0x40)
                mstore(f, 32)
                mstore(add(f, 32), 32)
                mstore(add(f, 64), 32)
                mstore(add(f, 96), a)
                mstore(add(f, 128), sub(p_, 2))
                mstore(add(f, 160), p_)
                if iszero(staticcall(gas(), 5, f, 192, f, 32)) { revert(0, 0) }
                r := mload(f)
            }
            // XYZZ points (X, nY, ZZ, ZZZ) x cnt at src -> affine pairs at d; x is negated when neg = 1
            function normalise(src, cnt, d, sc, p_, neg) {
                let acc := 1
                for { let i := 0 } lt(i, cnt) { i := add(i, 1) } {
                    mstore(add(sc, shl(5, i)), acc)
                    acc := mulmod(acc, mload(add(add(src, shl(7, i)), 96)), p_)
                }
                if iszero(acc) { revert(0, 0) }
                acc := inv(acc, p_)
                for { let i := cnt } i {} {
                    i := sub(i, 1)
                    let s := add(src, shl(7, i))
                    let zi := mulmod(acc, mload(add(sc, shl(5, i))), p_)   // 1/ZZZ
                    acc := mulmod(acc, mload(add(s, 96)), p_)
                    let u := mulmod(mload(add(s, 64)), zi, p_)
                    u := mulmod(mulmod(u, u, p_), mload(s), p_)            // x = X/ZZ, 1/ZZ = (ZZ/ZZZ)^2
                    if neg { u := sub(p_, u) }
                    let o := add(d, shl(6, i))
                    mstore(o, u)
                    mstore(add(o, 32), mulmod(sub(p_, mload(add(s, 32))), zi, p_))
                }
            }
            let base := mload(0x40)
            let aff := add(base, 32768)
            let sc := add(base, 36864)
            mstore(0x40, add(base, 45056))
            // chain B0, D0, B1, D1, ..., B14, D14, B15 with B_k = 2^(16 k) Q, D_k = 2 B_k
            {
                let X := px
                let nY := sub(p, py)
                let ZZ := 1
                let ZZZ := 1
                for { let i := 0 } lt(i, 31) { i := add(i, 1) } {
                    let s := add(base, shl(7, i))
                    mstore(s, X)
                    mstore(add(s, 32), nY)
                    mstore(add(s, 64), ZZ)
                    mstore(add(s, 96), ZZZ)
                    let k := 1
                    if and(i, 1) { k := 15 }
                    if eq(i, 30) { k := 0 }
                    for {} k { k := sub(k, 1) } {
                    let u := addmod(nY, nY, p)
                    let V := mulmod(u, u, p)
                    u := mulmod(u, V, p)
                    let S := mulmod(X, V, p)
                    let M := mulmod(3, mulmod(addmod(X, sub(p, ZZ), p), addmod(X, ZZ, p), p), p)
                    ZZ := mulmod(V, ZZ, p)
                    ZZZ := sub(p, mulmod(u, ZZZ, p))
                    X := addmod(mulmod(M, M, p), mulmod(S, pm2, p), p)
                    nY := addmod(mulmod(M, addmod(X, sub(p, S), p), p), mulmod(u, nY, p), p)
                }
                }
            }
            normalise(base, 31, aff, sc, p, 0)       // B_k at aff + 128 k, D_k at aff + 128 k + 64
            for { let v := 0 } lt(v, 2) { v := add(v, 1) } {
                let a0 := add(aff, shl(7, v))        // tooth i of comb v is B_(2i+v), at a0 + 256 i
                let tb := add(base, shl(14, v))
                {
                    let X := mload(add(a0, 1792))
                    let nY := sub(p, mload(add(a0, 1824)))
                    let ZZ := 1
                    let ZZZ := 1
                    for { let i := 0 } lt(i, 7) { i := add(i, 1) } {
                    let y2 := add(a0, shl(8, i))
                    let x2 := mload(y2)
                    y2 := sub(p, mload(add(y2, 32)))
                    let Q := addmod(X, sub(p, mulmod(x2, ZZ, p)), p)
                    let R := addmod(mulmod(y2, ZZZ, p), nY, p)
                    y2 := mulmod(Q, Q, p)
                    x2 := mulmod(Q, y2, p)
                    Q := mulmod(X, y2, p)
                    ZZ := mulmod(ZZ, y2, p)
                    ZZZ := sub(p, mulmod(ZZZ, x2, p))
                    X := addmod(addmod(mulmod(R, R, p), x2, p), mulmod(Q, pm2, p), p)
                    nY := addmod(mulmod(R, addmod(X, sub(p, Q), p), p), mulmod(nY, x2, p), p)
                }
                    mstore(tb, X)
                    mstore(add(tb, 32), nY)
                    mstore(add(tb, 64), ZZ)
                    mstore(add(tb, 96), ZZZ)
                }
                for { let i := 0 } lt(i, 7) { i := add(i, 1) } {
                    let hb := shl(i, 1)
                    let da := add(a0, add(shl(8, i), 64))
                    for { let k := 0 } lt(k, hb) { k := add(k, 1) } {
                        let s := add(tb, shl(7, k))
                        let X := mload(s)
                        let nY := mload(add(s, 32))
                        let ZZ := mload(add(s, 64))
                        let ZZZ := mload(add(s, 96))
                        {
                    let x2 := mload(da)
                    let y2 := mload(add(da, 32))
                    let Q := addmod(X, sub(p, mulmod(x2, ZZ, p)), p)
                    let R := addmod(mulmod(y2, ZZZ, p), nY, p)
                    y2 := mulmod(Q, Q, p)
                    x2 := mulmod(Q, y2, p)
                    Q := mulmod(X, y2, p)
                    ZZ := mulmod(ZZ, y2, p)
                    ZZZ := sub(p, mulmod(ZZZ, x2, p))
                    X := addmod(addmod(mulmod(R, R, p), x2, p), mulmod(Q, pm2, p), p)
                    nY := addmod(mulmod(R, addmod(X, sub(p, Q), p), p), mulmod(nY, x2, p), p)
                }
                        s := add(tb, shl(7, add(k, hb)))
                        mstore(s, X)
                        mstore(add(s, 32), nY)
                        mstore(add(s, 64), ZZ)
                        mstore(add(s, 96), ZZZ)
                    }
                }
            }
            normalise(base, 256, dst, sc, p, 1)
            mstore(0x40, base)
        }
    }
}
