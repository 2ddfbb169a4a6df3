"""Errors become one line and an exit code, in one place."""

from __future__ import annotations

import errno
from typing import Any

import click

from bridge.commands.output import INTERNAL_EXIT, exit_code, print_error
from lianqiao_base.errors import Fatal, LianqiaoError


class TypedErrorGroup(click.Group):
    """The root group. With `--debug` an error keeps its traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LianqiaoError as error:
            if ctx.params.get("debug"):
                raise
            print_error(error)
            ctx.exit(exit_code(error))
        except (click.ClickException, click.exceptions.Exit, click.Abort, KeyboardInterrupt):
            raise
        except OSError as error:
            if ctx.params.get("debug") or error.errno == errno.EPIPE:
                raise  # click ends quietly when nobody reads on
            subject = str(error.filename or "")
            print_error(Fatal("SYSTEM", error.strerror or type(error).__name__, subject=subject, hint="check the path"))
            ctx.exit(INTERNAL_EXIT)
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            # Not one of ours: the text of a foreign exception may hold anything, so only its kind is shown.
            print_error(
                Fatal("INTERNAL", f"unexpected {type(error).__name__}", hint="run it again with --debug and report it")
            )
            ctx.exit(INTERNAL_EXIT)
