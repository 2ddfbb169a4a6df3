// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.27;

import {GeneratedCode} from "../crypto/GeneratedCode.sol";
import {SM2KeyRegistry} from "../crypto/SM2KeyRegistry.sol";
import {Committee} from "./Committee.sol";
import {Checkpoint, IMainlandLightClient} from "./IMainlandLightClient.sol";
import {MerkleLog} from "./MerkleLog.sol";

/// @title Light client of the mainland ledger, verifying its validators' SM2 quorum certificates.
/// @dev Formats: docs/protocol.md, section 5. No owner, no upgrade, no pause: the only way to stop it is the proof of an
/// equivocation. Which code it trusts is checked at deployment by code hash, so a deployment with other code cannot exist.
contract MainlandLightClient is IMainlandLightClient {
    /// @dev One slot.
    struct Head {
        uint64 epoch;
        uint64 height;
        uint64 timeMs;
        uint64 logSize;
    }

    /// @dev One slot.
    struct Status {
        address committee;
        bool frozen;
    }

    /// @dev Head of the verifier's input: digest, then table, offset and bitmap in one word.
    uint256 private constant QUERY_HEADER_SIZE = 64;
    uint256 private constant SIGNATURE_SIZE = 64;

    /// @inheritdoc IMainlandLightClient
    bytes32 public immutable chainId;

    /// @notice Registry whose keys may sit in a validator set.
    SM2KeyRegistry public immutable registry;

    /// @notice SM2QuorumVerifier (generated code).
    address public immutable verifier;

    address private immutable _generatorTable;

    Head private _head;
    Status private _status;
    mapping(uint64 logSize => bytes32 root) private _roots;
    mapping(uint64 epoch => address committee) private _committees;

    /// @notice The address does not hold the code that this client was built for.
    error UnexpectedCode(address given, bytes32 codeHash, bytes32 expected);

    /// @param registry_ SM2KeyRegistry
    /// @param verifier_ SM2QuorumVerifier
    /// @param chainId_ Mainland ledger to follow
    /// @param epoch Epoch of the first validator set
    /// @param orgIds Organisation ids of the first set, strictly increasing
    /// @param tables Key tables of the first set, in the same order
    constructor(
        SM2KeyRegistry registry_,
        address verifier_,
        bytes32 chainId_,
        uint64 epoch,
        bytes32[] memory orgIds,
        address[] memory tables
    ) {
        _requireCode(address(registry_), keccak256(type(SM2KeyRegistry).runtimeCode));
        _requireCode(verifier_, GeneratedCode.QUORUM_VERIFIER_HASH);
        registry = registry_;
        verifier = verifier_;
        chainId = chainId_;
        _generatorTable = registry_.generatorTable();
        // A log that is still empty has a root too; a rotation may be certified over it.
        _roots[0] = keccak256("");
        _installSet(registry_, chainId_, epoch, orgIds, tables);
    }

    /// @inheritdoc IMainlandLightClient
    function update(Checkpoint calldata checkpoint, uint64 bitmap, bytes calldata signatures) external {
        bytes32 validatorsHash = _verifyNext(checkpoint, bitmap, signatures);
        if (checkpoint.nextValidatorsHash != validatorsHash) {
            revert NextValidatorsMismatch(checkpoint.nextValidatorsHash, validatorsHash);
        }
        uint64 lastSize = _head.logSize;
        if (checkpoint.logSize <= lastSize) revert StaleLogSize(checkpoint.logSize, lastSize);
        _accept(checkpoint);
    }

    /// @inheritdoc IMainlandLightClient
    function updateAndRotate(
        Checkpoint calldata checkpoint,
        uint64 bitmap,
        bytes calldata signatures,
        bytes32[] calldata orgIds,
        address[] calldata tables
    ) external {
        _verifyNext(checkpoint, bitmap, signatures);
        uint64 lastSize = _head.logSize;
        if (checkpoint.logSize < lastSize) revert StaleLogSize(checkpoint.logSize, lastSize);
        if (checkpoint.logSize == lastSize && checkpoint.logRoot != _roots[lastSize]) {
            revert LogRootChanged(lastSize, checkpoint.logRoot, _roots[lastSize]);
        }
        _accept(checkpoint);
        bytes32 validatorsHash = _installSet(registry, chainId, checkpoint.epoch + 1, orgIds, tables);
        if (checkpoint.nextValidatorsHash != validatorsHash) {
            revert NextValidatorsMismatch(checkpoint.nextValidatorsHash, validatorsHash);
        }
    }

    /// @inheritdoc IMainlandLightClient
    function reportEquivocation(
        Checkpoint calldata checkpointA,
        uint64 bitmapA,
        bytes calldata signaturesA,
        Checkpoint calldata checkpointB,
        uint64 bitmapB,
        bytes calldata signaturesB
    ) external {
        if (_status.frozen) revert ClientFrozen();
        if (checkpointA.chainId != chainId) revert WrongChain(checkpointA.chainId, chainId);
        if (checkpointB.chainId != chainId) revert WrongChain(checkpointB.chainId, chainId);
        bytes32 digestA = keccak256(abi.encode(checkpointA));
        bytes32 digestB = keccak256(abi.encode(checkpointB));
        if (
            checkpointA.epoch != checkpointB.epoch || checkpointA.height != checkpointB.height || digestA == digestB
        ) revert NotEquivocation(digestA, digestB);
        (bytes memory members, ) = Committee.load(_committeeOf(checkpointA.epoch));
        _verifyCertificate(members, digestA, bitmapA, signaturesA);
        _verifyCertificate(members, digestB, bitmapB, signaturesB);
        _status.frozen = true;
        emit Frozen(checkpointA.epoch, checkpointA.height, digestA, digestB);
    }

    /// @inheritdoc IMainlandLightClient
    function verifyInclusion(
        bytes calldata claim,
        uint64 index,
        uint64 logSize,
        bytes32[] calldata proof
    ) external view returns (bool) {
        if (_status.frozen) revert ClientFrozen();
        bytes32 root = _roots[logSize];
        if (root == 0) revert UnknownLogSize(logSize);
        return MerkleLog.verifyInclusion(MerkleLog.leafHash(claim), index, logSize, proof, root);
    }

    /// @inheritdoc IMainlandLightClient
    function rootOf(uint64 logSize) external view returns (bytes32) {
        return _roots[logSize];
    }

    /// @inheritdoc IMainlandLightClient
    function head() external view returns (uint64 epoch, uint64 height, uint64 timeMs, uint64 logSize) {
        Head memory last = _head;
        return (last.epoch, last.height, last.timeMs, last.logSize);
    }

    /// @inheritdoc IMainlandLightClient
    function frozen() external view returns (bool) {
        return _status.frozen;
    }

    /// @inheritdoc IMainlandLightClient
    function committee(
        uint64 epoch
    ) external view returns (bytes32 validatorsHash, uint256 quorum, address[] memory tables) {
        bytes memory members;
        (members, validatorsHash) = Committee.load(_committeeOf(epoch));
        uint256 size = Committee.sizeOf(members);
        quorum = Committee.quorumOf(size);
        tables = new address[](size);
        for (uint256 i = 0; i < size; ++i) {
            tables[i] = Committee.tableAt(members, i);
        }
    }

    /// @dev Everything about the next checkpoint but its log size and next validator set. Returns the current set's hash.
    function _verifyNext(
        Checkpoint calldata checkpoint,
        uint64 bitmap,
        bytes calldata signatures
    ) private view returns (bytes32 validatorsHash) {
        Status memory status = _status;
        Head memory last = _head;
        if (status.frozen) revert ClientFrozen();
        if (checkpoint.chainId != chainId) revert WrongChain(checkpoint.chainId, chainId);
        if (checkpoint.epoch != last.epoch) revert WrongEpoch(checkpoint.epoch, last.epoch);
        if (checkpoint.height <= last.height) revert StaleHeight(checkpoint.height, last.height);
        if (checkpoint.timeMs < last.timeMs) revert TimeReversed(checkpoint.timeMs, last.timeMs);
        if (checkpoint.logRoot == 0) revert ZeroLogRoot();
        if (checkpoint.headerHash == 0) revert ZeroHeaderHash();
        bytes memory members;
        (members, validatorsHash) = Committee.load(status.committee);
        _verifyCertificate(members, keccak256(abi.encode(checkpoint)), bitmap, signatures);
    }

    /// @dev Reverts unless at least a quorum of `members` signed `digest`, every listed signature is valid and nothing is left.
    function _verifyCertificate(
        bytes memory members,
        bytes32 digest,
        uint64 bitmap,
        bytes calldata signatures
    ) private view {
        uint256 size = Committee.sizeOf(members);
        if (uint256(bitmap) >> size != 0) revert SignerOutsideSet(bitmap, size);
        uint256 signers = _countBits(bitmap);
        uint256 quorum = Committee.quorumOf(size);
        if (signers < quorum) revert QuorumNotReached(signers, quorum);
        if (signatures.length != signers * SIGNATURE_SIZE) {
            revert SignaturesLengthMismatch(signatures.length, signers * SIGNATURE_SIZE);
        }
        (bool success, bytes memory answer) = verifier.staticcall(
            abi.encodePacked(
                digest,
                _generatorTable,
                uint32(QUERY_HEADER_SIZE + members.length),
                bitmap,
                members,
                signatures
            )
        );
        if (!success || answer.length != 32 || bytes32(answer) != bytes32(uint256(1))) revert InvalidCertificate(digest);
    }

    function _accept(Checkpoint calldata checkpoint) private {
        _head = Head(checkpoint.epoch, checkpoint.height, checkpoint.timeMs, checkpoint.logSize);
        _roots[checkpoint.logSize] = checkpoint.logRoot;
        emit CheckpointAccepted(
            checkpoint.height,
            checkpoint.logSize,
            checkpoint.epoch,
            checkpoint.timeMs,
            checkpoint.logRoot,
            checkpoint.headerHash
        );
    }

    function _installSet(
        SM2KeyRegistry registry_,
        bytes32 chainId_,
        uint64 epoch,
        bytes32[] memory orgIds,
        address[] memory tables
    ) private returns (bytes32 validatorsHash) {
        address stored;
        (stored, validatorsHash) = Committee.create(registry_, chainId_, epoch, orgIds, tables);
        _head.epoch = epoch;
        _status.committee = stored;
        _committees[epoch] = stored;
        emit ValidatorSetInstalled(epoch, validatorsHash, orgIds.length, Committee.quorumOf(orgIds.length), stored);
    }

    function _committeeOf(uint64 epoch) private view returns (address stored) {
        stored = _committees[epoch];
        if (stored == address(0)) revert UnknownEpoch(epoch);
    }

    function _requireCode(address account, bytes32 expected) private view {
        if (account.codehash != expected) revert UnexpectedCode(account, account.codehash, expected);
    }

    /// @dev Set bits, added up in parallel within ever wider fields.
    function _countBits(uint64 bitmap) private pure returns (uint256) {
        unchecked {
            uint256 x = bitmap;
            x = x - ((x >> 1) & 0x5555555555555555);
            x = (x & 0x3333333333333333) + ((x >> 2) & 0x3333333333333333);
            x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
            return ((x * 0x0101010101010101) >> 56) & 0xff;
        }
    }
}
