"""What all bindings share: an address, an ABI, pinned reads, calls as values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from hk_l2.abi_codec import ContractAbi, contract_abi
from hk_l2.chain import BlockStamp, Call, EventLog
from hk_l2.evm import EvmClient

DEFAULT_ADMIN_ROLE = bytes(32)


def role(name: str) -> bytes:
    """Identifier of a role, for example `role("GUARDIAN_ROLE")`."""
    return bytes(keccak(text=name))


class Contract:
    """Base of the bindings. `artifact` names the contract."""

    artifact: ClassVar[str]

    def __init__(self, client: EvmClient, address: str) -> None:
        self._client = client
        self.address = str(to_checksum_address(address))

    @property
    def abi(self) -> ContractAbi:
        """Codec of the contract."""
        return contract_abi(self.artifact)

    def grant_role(self, role_id: bytes, account: str) -> Call:
        """Grants a role (OpenZeppelin AccessControl)."""
        return self._write("grantRole", role_id, account)

    def revoke_role(self, role_id: bytes, account: str) -> Call:
        """Revokes a role."""
        return self._write("revokeRole", role_id, account)

    def renounce_role(self, role_id: bytes, account: str) -> Call:
        """Gives up the sender's own role."""
        return self._write("renounceRole", role_id, account)

    def has_role(self, role_id: bytes, account: str, at: BlockStamp | None = None) -> bool:
        """Whether an account holds a role."""
        return bool(self._read("hasRole", role_id, account, at=at))

    def _read_all(self, function: str, *arguments: Any, at: BlockStamp | None) -> tuple[Any, ...]:
        call = Call(self.address, self.abi.encode_call(function, arguments), f"{self.artifact}.{function}")
        return self.abi.decode_result(function, self._client.call(call, at=at))

    def _read(self, function: str, *arguments: Any, at: BlockStamp | None) -> Any:
        return self._read_all(function, *arguments, at=at)[0]

    def _write(self, function: str, *arguments: Any) -> Call:
        return Call(self.address, self.abi.encode_call(function, arguments), f"{self.artifact}.{function}")

    def _events(self, logs: Iterable[EventLog], event: str) -> Iterator[tuple[EventLog, dict[str, Any]]]:
        for log in logs:
            if log.address == self.address:
                found = self.abi.decode_event(log)
                if found is not None and found[0] == event:
                    yield log, found[1]
