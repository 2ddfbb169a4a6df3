// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.27;

import {SM3} from "../../../hk_l2/contracts/crypto/SM3.sol";

/// @title Opens SM3 to tests.
contract SM3Harness {
    function hash(bytes calldata message) external pure returns (bytes32) {
        return SM3.hash(message);
    }
}
