"""Typed errors of the whole system. Each says what happened, to which thing, and what to do next.

Three kinds, and a caller needs only the kind to act: `Rejected` (the input is wrong: change it), `Retryable` (try the same thing
again later), `Fatal` (stop: an operator must look). Subclasses carry data, not only text.
"""

from __future__ import annotations

from collections.abc import Mapping


class LianqiaoError(Exception):
    """Base of every error we raise on purpose.

    `code` is a stable upper-case identifier, `subject` names the thing concerned, `hint` is the next action, `data` is extra
    machine-readable context (never a secret, never personal data).
    """

    def __init__(
        self, code: str, message: str, *, subject: str = "", hint: str = "", data: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.subject = subject
        self.hint = hint
        self.data = dict(data or {})

    def __str__(self) -> str:
        parts = [f"{self.code}: {self.message}"]
        if self.subject:
            parts.append(f"[{self.subject}]")
        if self.hint:
            parts.append(f"-> {self.hint}")
        return " ".join(parts)


class Rejected(LianqiaoError):
    """The input is not acceptable; the same input will never be."""


class NotFound(Rejected):
    """The named thing does not exist here."""


class Unauthenticated(Rejected):
    """Who is calling cannot be established."""


class PermissionDenied(Rejected):
    """The caller is known and may not do this."""


class AlreadyExists(Rejected):
    """The thing exists and differs from what was sent."""


class PreconditionFailed(Rejected):
    """The input is well formed, but the present state does not allow it."""


class Retryable(LianqiaoError):
    """Nothing is wrong with the input; try again later."""


class Overloaded(Retryable):
    """A queue or a limit is full; slow down and try again."""


class Fatal(LianqiaoError):
    """Continuing could do harm; an operator must look."""
