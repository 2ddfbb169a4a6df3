"""The one place where typed errors become gRPC statuses and back.

The status message is `CODE: text [subject] -> hint`; the trailing metadata key `lianqiao-code` carries the code and
`lianqiao-data-*` the error's data, so that a client can act without parsing prose.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeVar

import grpc
import grpc.aio

from lianqiao_base.errors import (
    AlreadyExists,
    Fatal,
    LianqiaoError,
    NotFound,
    Overloaded,
    PermissionDenied,
    PreconditionFailed,
    Rejected,
    Retryable,
    Unauthenticated,
)

logger = logging.getLogger(__name__)

# Most specific class first: the first match wins.
STATUS: tuple[tuple[type[LianqiaoError], grpc.StatusCode], ...] = (
    (NotFound, grpc.StatusCode.NOT_FOUND),
    (Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (PermissionDenied, grpc.StatusCode.PERMISSION_DENIED),
    (AlreadyExists, grpc.StatusCode.ALREADY_EXISTS),
    (PreconditionFailed, grpc.StatusCode.FAILED_PRECONDITION),
    (Rejected, grpc.StatusCode.INVALID_ARGUMENT),
    (Overloaded, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (Retryable, grpc.StatusCode.UNAVAILABLE),
    (Fatal, grpc.StatusCode.INTERNAL),
)
_BACK = {status: kind for kind, status in reversed(STATUS)}


def status_of(error: LianqiaoError) -> grpc.StatusCode:
    return next((status for kind, status in STATUS if isinstance(error, kind)), grpc.StatusCode.INTERNAL)


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: LianqiaoError) -> NoReturn:
    """End the call with the status of `error`."""
    metadata = [("lianqiao-code", error.code)]
    metadata += [(f"lianqiao-data-{k.lower()}", v) for k, v in error.data.items() if v.isascii() and len(v) < 512]
    await context.abort(status_of(error), str(error)[:2048], tuple(metadata))
    raise AssertionError("abort does not return")


F = TypeVar("F", bound=Callable[..., Any])


def _internal(error: Exception) -> Fatal:
    # Never send foreign exception text over the wire: it can hold values of the other zone.
    logger.exception("unexpected error in a request handler", exc_info=error)
    return Fatal("INTERNAL", "unexpected error; see the server's log", hint="report it with the time of the call")


def unary(handler: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Decorate a unary (or client-streaming) servicer method: typed errors become statuses."""

    @functools.wraps(handler)
    async def wrapped(self: Any, request: Any, context: Any) -> Any:
        try:
            return await handler(self, request, context)
        except LianqiaoError as error:
            await abort(context, error)
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            await abort(context, _internal(error))

    return wrapped


def streaming(handler: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
    """Decorate a server-streaming servicer method."""

    @functools.wraps(handler)
    async def wrapped(self: Any, request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            async for item in handler(self, request, context):
                yield item
        except LianqiaoError as error:
            await abort(context, error)
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            await abort(context, _internal(error))

    return wrapped


def from_rpc_error(error: grpc.RpcError, subject: str) -> LianqiaoError:
    """The typed error behind a failed call, for clients."""
    status = error.code() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else grpc.StatusCode.UNKNOWN
    details = (error.details() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else None) or str(error)
    metadata = {}
    if isinstance(error, grpc.aio.AioRpcError):
        metadata = {str(k): str(v) for k, v in (error.trailing_metadata() or ())}
    code = metadata.get("lianqiao-code", status.name)
    message = details.removeprefix(f"{code}: ")
    data = {k.removeprefix("lianqiao-data-"): v for k, v in metadata.items() if k.startswith("lianqiao-data-")}
    if status in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        return Retryable(code, message, subject=subject, hint="try again")
    kind = _BACK.get(status, Fatal)
    return kind(code, message, subject=subject, data=data)
