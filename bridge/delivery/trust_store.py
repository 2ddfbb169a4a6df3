"""What the node believes about the mainland ledger, kept across restarts and verified again at every start."""

from __future__ import annotations

from bridge.delivery.contradiction import Contradiction
from bridge.delivery.store import DeliveryStore
from bridge.delivery.wire import decode_checkpoint, decode_rotations, encode_checkpoint, encode_rotations
from lianqiao_base.errors import Fatal
from mainland_chain.light.errors import Equivocation
from mainland_chain.light.genesis import Genesis
from mainland_chain.light.trust import TrustedState, decode_evidence, refuse_contradiction
from mainland_chain.light.types import CertifiedCheckpoint

_GENESIS, _ROTATIONS, _HEAD, _FIRST, _SECOND = "genesis", "rotations", "head", "evidence.first", "evidence.second"


class TrustStore:
    """Holds the present `TrustedState`. Raises `Fatal("ANOTHER_LEDGER")` for a store that belongs to another genesis."""

    def __init__(self, store: DeliveryStore, genesis: Genesis) -> None:
        self._store = store
        self.genesis = genesis
        known = store.setting(_GENESIS)
        if known is not None and known != genesis.chain_id:
            raise Fatal("ANOTHER_LEDGER", "the store belongs to another ledger", subject=known.hex())
        store.put_setting(_GENESIS, genesis.chain_id)
        state = TrustedState.from_genesis(genesis)
        for rotation in decode_rotations(store.setting(_ROTATIONS) or b""):
            state = state.apply_rotation(rotation)
        head = store.setting(_HEAD)
        if head is not None:
            certified = decode_checkpoint(head)
            if state.head is None or state.head.checkpoint.digest() != certified.checkpoint.digest():
                state = state.apply_checkpoint(certified)
        self.state = state
        first, second = store.setting(_FIRST), store.setting(_SECOND)
        if first is not None and second is not None:
            self.state = state.freeze(decode_checkpoint(first), decode_checkpoint(second))

    def learn(self, state: TrustedState, checkpoint: CertifiedCheckpoint) -> None:
        """Keep a further state, and the checkpoint that led to it. Raises `Equivocation` when an earlier one of that height
        differs."""
        c = checkpoint.checkpoint
        kept = decode_checkpoint(self._store.remember_checkpoint(c.epoch, c.height, encode_checkpoint(checkpoint)))
        refuse_contradiction(kept, checkpoint)
        if state is self.state:
            return
        if len(state.rotations) > len(self.state.rotations):
            self._store.put_setting(_ROTATIONS, encode_rotations(state.rotations))
        if state.head is not None:
            self._store.put_setting(_HEAD, encode_checkpoint(state.head))
        self.state = state

    def freeze(self, error: Equivocation) -> None:
        """Believe nothing of this ledger any more; both checkpoints are kept as evidence."""
        first, second = (decode_evidence(bytes.fromhex(error.data[name])) for name in ("first", "second"))
        frozen = self.state.freeze(first, second)
        self._store.put_settings({_FIRST: encode_checkpoint(first), _SECOND: encode_checkpoint(second)})
        self.state = frozen

    def contradiction(self) -> Contradiction | None:
        """What froze this node, in the form in which the light client is told."""
        if self.state.evidence is None:
            return None
        first, second = self.state.evidence
        return Contradiction(first, second, self.state.rotations[: first.checkpoint.epoch])
