// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.27;

/// @title What the mainland ledger's validators certify about one block.
/// @dev Byte format: docs/protocol.md, section 5. `digest = keccak256(abi.encode(checkpoint))`; every field is one word.
/// @param chainId Ledger: hash of its genesis document
/// @param epoch Epoch of the validator set that signs this checkpoint
/// @param height Block height
/// @param timeMs Block time, milliseconds UTC
/// @param logSize Number of claims in the export log after this block
/// @param logRoot Root of the export log (RFC 9162 tree over Keccak-256) of that size
/// @param headerHash SM3 hash of the block header
/// @param nextValidatorsHash Hash of the set that signs the next checkpoint: the signing set, or that of `epoch + 1`
struct Checkpoint {
    bytes32 chainId;
    uint64 epoch;
    uint64 height;
    uint64 timeMs;
    uint64 logSize;
    bytes32 logRoot;
    bytes32 headerHash;
    bytes32 nextValidatorsHash;
}

/// @title Light client of the mainland ledger.
/// @notice Accepts checkpoints that carry an SM2 quorum certificate of the current validator set, keeps the export log roots
/// they certify for ever, and proves claims against those roots. Anyone may call; nobody holds a special right.
interface IMainlandLightClient {
    /// @notice A checkpoint was accepted.
    event CheckpointAccepted(
        uint64 indexed height,
        uint64 indexed logSize,
        uint64 epoch,
        uint64 timeMs,
        bytes32 logRoot,
        bytes32 headerHash
    );

    /// @notice The validator set of `epoch` took over. `committee` holds the set as contract code.
    event ValidatorSetInstalled(uint64 indexed epoch, bytes32 validatorsHash, uint256 size, uint256 quorum, address committee);

    /// @notice Two certified checkpoints contradict each other; the client accepts and proves nothing from here on.
    event Frozen(uint64 indexed epoch, uint64 indexed height, bytes32 digestA, bytes32 digestB);

    /// @notice The client has seen an equivocation and is frozen.
    error ClientFrozen();

    /// @notice The checkpoint belongs to another ledger.
    error WrongChain(bytes32 given, bytes32 expected);

    /// @notice The checkpoint was signed in another epoch than the current one.
    error WrongEpoch(uint64 given, uint64 expected);

    /// @notice No validator set is known for this epoch.
    error UnknownEpoch(uint64 epoch);

    /// @notice The height must exceed that of the last accepted checkpoint.
    error StaleHeight(uint64 given, uint64 last);

    /// @notice The log size must exceed (in a pure rotation: reach) that of the last accepted checkpoint.
    error StaleLogSize(uint64 given, uint64 last);

    /// @notice The time lies before that of the last accepted checkpoint.
    error TimeReversed(uint64 given, uint64 last);

    /// @notice A log root of zero is never valid.
    error ZeroLogRoot();

    /// @notice A header hash of zero is never valid.
    error ZeroHeaderHash();

    /// @notice The log kept its size, so its root must not change.
    error LogRootChanged(uint64 logSize, bytes32 given, bytes32 known);

    /// @notice The checkpoint names another next validator set than the one that follows (or was given).
    error NextValidatorsMismatch(bytes32 given, bytes32 expected);

    /// @notice The bitmap names a signer at or beyond the size of the set.
    error SignerOutsideSet(uint64 bitmap, uint256 setSize);

    /// @notice Fewer signers than `floor(2n/3) + 1`.
    error QuorumNotReached(uint256 signers, uint256 quorum);

    /// @notice A certificate holds exactly 64 bytes per signer.
    error SignaturesLengthMismatch(uint256 given, uint256 expected);

    /// @notice At least one signature is not valid for its member and this checkpoint.
    error InvalidCertificate(bytes32 digest);

    /// @notice The two checkpoints do not contradict each other: other epoch, other height, or the same digest.
    error NotEquivocation(bytes32 digestA, bytes32 digestB);

    /// @notice No accepted checkpoint had this log size.
    error UnknownLogSize(uint64 logSize);

    /// @notice A validator set has 1 to 64 members.
    error InvalidSetSize(uint256 size);

    /// @notice One table per organisation is needed.
    error SetLengthMismatch(uint256 orgIds, uint256 tables);

    /// @notice Organisation ids must increase strictly.
    error OrgIdsNotIncreasing(uint256 position);

    /// @notice The table was not built by the key registry.
    error UnregisteredKey(address table);

    /// @notice The same key appears twice in a validator set.
    error DuplicateKey(address table);

    /// @notice The contract that holds a validator set could not be created.
    error CommitteeCreationFailed();

    /// @notice Accepts a checkpoint of the current epoch whose next validator set is the current one.
    /// @param checkpoint Certified checkpoint; height and log size must exceed the last ones
    /// @param bitmap Signers: bit i is member i of the current set
    /// @param signatures `r || s` (64 bytes) per set bit, in rising order of members
    function update(Checkpoint calldata checkpoint, uint64 bitmap, bytes calldata signatures) external;

    /// @notice Accepts a checkpoint by which the current set hands over to that of the next epoch.
    /// @param checkpoint Certified by the outgoing set; `nextValidatorsHash` commits to the incoming one. The log may keep its size
    /// @param bitmap Signers: bit i is member i of the current, outgoing set
    /// @param signatures `r || s` (64 bytes) per set bit, in rising order of members
    /// @param orgIds Organisation ids of the incoming set, strictly increasing
    /// @param tables Key tables of the incoming set (see SM2KeyRegistry), in the same order
    function updateAndRotate(
        Checkpoint calldata checkpoint,
        uint64 bitmap,
        bytes calldata signatures,
        bytes32[] calldata orgIds,
        address[] calldata tables
    ) external;

    /// @notice Freezes the client for ever on proof that a quorum certified two different checkpoints of one height.
    /// @dev Both must be valid under the set of their common epoch, current or past.
    function reportEquivocation(
        Checkpoint calldata checkpointA,
        uint64 bitmapA,
        bytes calldata signaturesA,
        Checkpoint calldata checkpointB,
        uint64 bitmapB,
        bytes calldata signaturesB
    ) external;

    /// @notice Proves that a claim is in the export log. Reverts when frozen or when no checkpoint had `logSize`.
    /// @param claim Claim bytes (the leaf is `keccak256(0x00 || claim)`)
    /// @param index Position in the log, from 0
    /// @param logSize Log size of any accepted checkpoint
    /// @param proof RFC 9162 inclusion proof, from leaf to root
    /// @return Whether the proof holds
    function verifyInclusion(
        bytes calldata claim,
        uint64 index,
        uint64 logSize,
        bytes32[] calldata proof
    ) external view returns (bool);

    /// @notice Log root certified for `logSize`, or zero when no accepted checkpoint had that size. Kept for ever.
    function rootOf(uint64 logSize) external view returns (bytes32);

    /// @notice Last accepted checkpoint (all zero but the epoch before the first one).
    function head() external view returns (uint64 epoch, uint64 height, uint64 timeMs, uint64 logSize);

    /// @notice Whether an equivocation has frozen the client.
    function frozen() external view returns (bool);

    /// @notice The mainland ledger this client follows.
    function chainId() external view returns (bytes32);

    /// @notice Validator set of an epoch, current or past; reverts for unknown epochs.
    function committee(
        uint64 epoch
    ) external view returns (bytes32 validatorsHash, uint256 quorum, address[] memory tables);
}
