// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.27;

import {GeneratedCode} from "./GeneratedCode.sol";
import {SM2Table} from "./SM2Table.sol";
import {SM3} from "./SM3.sol";

/// @title Registry of SM2 keys in the form in which SM2QuorumVerifier can use them.
/// @notice Anyone may register any key and pay for it. A key's table and hash state are computed here from the public key, so
/// nobody has to trust whoever registered it; each key has one table.
/// @dev Has no immutables, so that its code hash is a constant that others can check (see MainlandLightClient).
contract SM2KeyRegistry {
    /// @dev What belongs to a table.
    struct Key {
        bytes32 midstate;
        uint256 x;
        uint256 y;
    }

    /// @notice First 32 bytes of every message that validators sign (docs/protocol.md, section 1).
    bytes32 public constant CHECKPOINT_TAG = keccak256("lianqiao.checkpoint.v1");

    /// @dev Default user identity of GM/T 0009-2012.
    bytes16 private constant USER_ID = "1234567812345678";
    uint16 private constant USER_ID_BITS = 128;

    /// @notice Table of the curve's generator.
    address public generatorTable;

    mapping(address table => Key) private _keys;
    mapping(bytes32 keyHash => address table) private _tables;

    /// @notice A key was registered.
    event KeyRegistered(address indexed table, uint256 x, uint256 y, bytes32 midstate);

    /// @notice The coordinates are not a point of the curve.
    error NotOnCurve(uint256 x, uint256 y);

    /// @notice The table contract could not be created.
    error TableCreationFailed(uint256 x, uint256 y);

    constructor() {
        generatorTable = _createTable(SM2Table.GX, SM2Table.GY);
    }

    /// @notice Registers a public key (about 4 million gas), or finds the table of a key that is registered already.
    /// @param x Affine x coordinate
    /// @param y Affine y coordinate
    /// @return table Contract that holds the key's points
    function register(uint256 x, uint256 y) external returns (address table) {
        bytes32 keyHash = keccak256(abi.encode(x, y));
        table = _tables[keyHash];
        if (table != address(0)) return table;
        if (!SM2Table.isOnCurve(x, y)) revert NotOnCurve(x, y);

        // GB/T 32918.2 section 5.5: Z binds the signer's identity, the curve and the key.
        bytes32 z = SM3.hash(
            abi.encodePacked(USER_ID_BITS, USER_ID, SM2Table.P - 3, SM2Table.B, SM2Table.GX, SM2Table.GY, x, y)
        );
        bytes32 midstate = bytes32(SM3.compress(SM3.IV, abi.encodePacked(z, CHECKPOINT_TAG)));

        table = _createTable(x, y);
        _tables[keyHash] = table;
        _keys[table] = Key(midstate, x, y);
        emit KeyRegistered(table, x, y, midstate);
    }

    /// @notice Table of a key, or zero.
    function tableOf(uint256 x, uint256 y) external view returns (address) {
        return _tables[keccak256(abi.encode(x, y))];
    }

    /// @notice Key of a table that was built here; all zero for any other address.
    /// @return midstate SM3 chaining value after the block Z || CHECKPOINT_TAG
    /// @return x Affine x coordinate
    /// @return y Affine y coordinate
    function keyOf(address table) external view returns (bytes32 midstate, uint256 x, uint256 y) {
        Key storage key = _keys[table];
        return (key.midstate, key.x, key.y);
    }

    /// @dev A table contract is the look-up code, followed by the points.
    function _createTable(uint256 x, uint256 y) private returns (address table) {
        bytes memory stub = GeneratedCode.TABLE_STUB;
        uint256 length = stub.length + SM2Table.SIZE;
        // PUSH2 length DUP1 PUSH1 10 RETURNDATASIZE CODECOPY RETURNDATASIZE RETURN
        bytes memory init = abi.encodePacked(hex"61", uint16(length), hex"80600a3d393df3", stub, new bytes(SM2Table.SIZE));
        uint256 points;
        assembly ("memory-safe") {
            points := add(add(init, 42), mload(stub))
        }
        SM2Table.make(x, y, points);
        assembly ("memory-safe") {
            table := create(0, add(init, 32), mload(init))
        }
        if (table == address(0)) revert TableCreationFailed(x, y);
    }
}
