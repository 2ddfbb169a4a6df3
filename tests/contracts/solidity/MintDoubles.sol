// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title Stands in for the light client in tests of the mint side: confirms the leaves it was told of.
contract LightClientDouble {
    bytes32 public chainId;
    bool public frozen;
    mapping(bytes32 leaf => bool) public known;

    constructor(bytes32 chainId_) {
        chainId = chainId_;
    }

    function accept(bytes32 leaf) external {
        known[leaf] = true;
    }

    function setFrozen(bool frozen_) external {
        frozen = frozen_;
    }

    function verifyInclusion(
        bytes calldata claim,
        uint64 index,
        uint64 logSize,
        bytes32[] calldata
    ) external view returns (bool) {
        return index < logSize && known[keccak256(bytes.concat(bytes1(0), claim))];
    }
}

/// @title Contract account whose owner's signature counts as its own.
contract WalletDouble is IERC1271 {
    address private immutable _owner;

    constructor(address owner) {
        _owner = owner;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        (address signer, , ) = ECDSA.tryRecoverCalldata(hash, signature);
        return signer == _owner ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}

/// @title Claims to be a token of some controller and asset.
contract TokenDouble {
    address public controller;
    bytes32 public assetRef;

    constructor(address controller_, bytes32 assetRef_) {
        controller = controller_;
        assetRef = assetRef_;
    }
}

/// @title Passes calls on, for tests of what only a certain contract may call.
contract CallerDouble {
    function execute(address target, bytes calldata data) external returns (bytes memory) {
        (bool success, bytes memory result) = target.call(data);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(result, 32), mload(result))
            }
        }
        return result;
    }
}
