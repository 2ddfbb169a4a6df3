// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice An issuer's order to mint from its lock.
/// @param orderId Chosen by the issuer, unique
/// @param lockRef Lock that the units are drawn from
/// @param recipient Holder of the new tokens
/// @param units Number of units
/// @param deadline Last second (EVM time) at which the order may be carried out
struct MintOrder {
    bytes32 orderId;
    bytes32 lockRef;
    address recipient;
    uint256 units;
    uint64 deadline;
}

/// @notice What a clearance adds to the order it clears.
/// @param decisionHash Record of the compliance decision
/// @param expiry Last second (EVM time) at which the clearance counts
struct ClearanceData {
    bytes32 decisionHash;
    uint64 expiry;
}

/// @title EIP-712 struct hashes of orders and clearances: docs/protocol.md, section 6.
library MintOrders {
    bytes32 internal constant MINT_ORDER_TYPEHASH =
        keccak256("MintOrder(bytes32 orderId,bytes32 lockRef,address recipient,uint256 units,uint64 deadline)");

    bytes32 internal constant CLEARANCE_TYPEHASH =
        keccak256(
            "Clearance(bytes32 orderId,bytes32 lockRef,address recipient,uint256 units,bytes32 decisionHash,uint64 expiry)"
        );

    function hash(MintOrder calldata order) internal pure returns (bytes32) {
        return
            keccak256(
                abi.encode(
                    MINT_ORDER_TYPEHASH,
                    order.orderId,
                    order.lockRef,
                    order.recipient,
                    order.units,
                    order.deadline
                )
            );
    }

    function hash(MintOrder calldata order, ClearanceData calldata clearance) internal pure returns (bytes32) {
        return
            keccak256(
                abi.encode(
                    CLEARANCE_TYPEHASH,
                    order.orderId,
                    order.lockRef,
                    order.recipient,
                    order.units,
                    clearance.decisionHash,
                    clearance.expiry
                )
            );
    }
}
