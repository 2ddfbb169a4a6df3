"""GetTransaction while a block is being committed: the transaction has left neither place unseen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from lianqiao.ledger.v1 import ledger_pb2 as pb

from mainland_chain.service.servicer import LedgerServicer

TX = b"t" * 32


async def test_a_transaction_that_is_committed_between_the_two_looks_is_still_known() -> None:
    """The store is asked just before the block is written, the queue just after it was emptied."""
    queue = {TX}

    def not_yet(tx_hash: bytes) -> None:
        queue.discard(tx_hash)

    engine = SimpleNamespace(is_pending=lambda tx_hash: tx_hash in queue, certified_height=0)
    servicer = LedgerServicer(cast("Any", None), cast("Any", engine), cast("Any", SimpleNamespace(transaction=not_yet)))
    servicer._access = cast("Any", SimpleNamespace(caller=lambda context: None))
    response = await servicer.GetTransaction(pb.GetTransactionRequest(transaction_hash=TX), cast("Any", None))
    assert response.outcome.code == "PENDING"
