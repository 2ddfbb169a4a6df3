"""Typed errors of the EVM side. The kind says what to do: `Rejected` change it, `Retryable` try again, `Fatal` stop and look."""

from __future__ import annotations

from collections.abc import Mapping

from lianqiao_base.errors import Fatal, PreconditionFailed, Rejected, Retryable


class RevertError(Rejected):
    """A contract refused the call with one of its named errors."""

    def __init__(self, error_name: str, arguments: Mapping[str, object], data: bytes, *, subject: str = "") -> None:
        shown = ", ".join(f"{key}={_text(value)}" for key, value in arguments.items())
        super().__init__(
            "REVERTED",
            f"{error_name}({shown})" if error_name else "the contract gave no reason",
            subject=subject,
            data={"error": error_name, **{key: _text(value) for key, value in arguments.items()}},
        )
        self.error_name = error_name
        """Name of the Solidity error; `Error` and `Panic` are the language's own, empty means none was given."""
        self.arguments = dict(arguments)
        """Arguments of the error by name, as decoded."""
        self.revert_data = data


class InsufficientFunds(PreconditionFailed):
    """The account cannot pay for gas and value."""


class NonceConflict(PreconditionFailed):
    """Another transaction of this account took the nonce."""


class LaneBusy(Retryable):
    """A prepared transaction of this account has been neither broadcast nor abandoned."""


class FeeTooLow(Retryable):
    """The network wants a higher fee; replace the transaction."""


class FeeCapExceeded(Retryable):
    """The network's fee is above the profile's cap; wait, or raise the cap."""


class EvmUnavailable(Retryable):
    """The node did not answer, or not sensibly."""


class BroadcastRefused(Rejected):
    """The node does not take the transaction, for a reason without a type of its own."""


class WrongNetwork(Fatal):
    """The node serves another chain than the profile names."""


class FinalityRegressed(Fatal):
    """A finality tag moved backwards; nothing may rely on this node."""


class DeploymentMismatch(Fatal):
    """What is on the chain is not what the deployment manifest says."""


class NetworkProfileInvalid(Rejected):
    """A network profile does not read or contradicts itself."""


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return str(value)
