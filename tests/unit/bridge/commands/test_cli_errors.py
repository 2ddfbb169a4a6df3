"""Errors are one line and an exit code that says what to do; help teaches; secrets are never asked for in argv."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from bridge.cli import cli
from bridge.commands.group import TypedErrorGroup
from bridge.commands.output import HexParam, printable
from lianqiao_base.errors import Fatal, LianqiaoError, NotFound, Overloaded, PreconditionFailed, Rejected, Retryable


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="lianqiao")


def failing(error: BaseException) -> click.Group:
    @click.group(cls=TypedErrorGroup)
    @click.option("--debug", is_flag=True)
    def root(debug: bool) -> None:
        pass

    @root.command()
    def fail() -> None:
        raise error

    return root


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Rejected("A", "no"), 1),
        (NotFound("A", "no"), 1),
        (PreconditionFailed("A", "no"), 1),
        (Retryable("A", "later"), 3),
        (Overloaded("A", "later"), 3),
        (Fatal("A", "stop"), 4),
        (LianqiaoError("A", "of no kind"), 4),
    ],
)
def test_exit_code_says_what_to_do(error: LianqiaoError, code: int) -> None:
    result = CliRunner().invoke(failing(error), ["fail"])
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith("error: A: ")


def test_error_is_one_line_with_subject_and_next_step() -> None:
    error = Rejected("CODE", "what\nhappened\x1b[2J", subject="thing", hint="do this")
    result = CliRunner().invoke(failing(error), ["fail"])
    assert result.stderr == "error: CODE: what happened [2J [thing] -> do this\n"


def test_foreign_exception_shows_its_kind_but_not_its_text() -> None:
    result = CliRunner().invoke(failing(RuntimeError("passphrase hunter2")), ["fail"])
    assert result.exit_code == 4
    assert "RuntimeError" in result.stderr
    assert "hunter2" not in result.output
    assert "Traceback" not in result.output


def test_missing_file_of_a_library_names_the_path(tmp_path: Path) -> None:
    def read() -> FileNotFoundError:
        try:
            (tmp_path / "gone").read_bytes()
        except FileNotFoundError as error:
            return error
        raise AssertionError

    result = CliRunner().invoke(failing(read()), ["fail"])
    assert result.exit_code == 4
    assert "No such file" in result.stderr
    assert "gone" in result.stderr


def test_debug_keeps_the_exception() -> None:
    result = CliRunner().invoke(failing(Rejected("A", "no")), ["--debug", "fail"])
    assert isinstance(result.exception, Rejected)


def commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []

    def walk(command: click.Command, path: tuple[str, ...]) -> None:
        found.append(path)
        if isinstance(command, click.Group):
            for name, child in command.commands.items():
                walk(child, (*path, name))

    walk(cli, ())
    return found


@pytest.mark.parametrize("path", commands(), ids=lambda p: " ".join(p) or "lianqiao")
def test_help_shows_an_example_and_what_comes_next(path: tuple[str, ...]) -> None:
    result = run(*path, "--help")
    assert result.exit_code == 0
    assert "lianqiao " in result.output.split("\n", 1)[1], "an example"
    assert not [word for word in ("--passphrase", "--password", "--private-key") if word in result.output]


def test_version() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.output.startswith("lianqiao ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("verify",),
        ("verify", "x", "--genesis-hash", "12"),
        ("trace", "abcd", "--store", "x"),
        ("trace", "abcdef01"),
        ("trace", "abcdef01", "--store", "x", "--target", "y"),
        ("trace", "abcdef01", "--target", "localhost:1"),
        ("keys", "new", "--keystore", "x"),
        ("ledger", "proof"),
        ("ledger", "proof", "--claim", "-1"),
        ("ledger", "status", "--tls-certificate", "x"),
        ("l2", "status"),
        ("deliver", "serve"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert "Usage:" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("verify", "{}/none.json"), "BUNDLE_NOT_FOUND"),
        (("trace", "abcdef01", "--store", "{}/none.sqlite3"), "STORE_NOT_FOUND"),
        (("trace", "abcdef01", "--config", "{}/none.toml"), "CONFIG_INVALID"),
        (("keys", "show", "--keystore", "{}/none"), "KEYSTORE_NOT_FOUND"),
        (("keys", "fingerprint", "{}/none.pem"), "FILE_UNREADABLE"),
        (("ledger", "status", "--home", "{}"), "HOME_NOT_FOUND"),
        (("ledger", "submit", "{}/none.json", "--home", "{}"), "FILE_UNREADABLE"),
        (("ledger", "proof", "--claim", "0", "--home", "{}"), "HOME_NOT_FOUND"),
        (("deliver", "init", "{}/hk", "--ledger-home", "{}"), "GENESIS_NOT_FOUND"),
        (("deliver", "serve", "--config", "{}/none.toml"), "CONFIG_INVALID"),
        (("l2", "deploy", "--config", "{}/none.toml"), "CONFIG_INVALID"),
        (("l2", "status", "--manifest", "{}/none", "--l2-url", "http://127.0.0.1:1"), "MANIFEST_NOT_FOUND"),
    ],
)
def test_what_is_not_there_is_named(arguments: tuple[str, ...], code: str, tmp_path: Path) -> None:
    result = run(*(a.format(tmp_path) for a in arguments))
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith(f"error: {code}: ")
    assert len(result.stderr.splitlines()) == 1
    assert str(tmp_path) in result.stderr


@pytest.mark.parametrize("command", [("deliver", "serve"), ("l2", "deploy"), ("trace", "abcdef01")])
def test_a_configuration_that_is_no_text_is_named(command: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b'listen = "\xff"\n')
    result = run(*command, "--config", str(path))
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("error: CONFIG_INVALID: not TOML")


@pytest.mark.parametrize("text", ["12", "0x" + "ab" * 33, "zz" * 32, "ab " * 32, ""])
def test_hex_is_read_strictly(text: str) -> None:
    with pytest.raises(click.BadParameter):
        HexParam(32).convert(text, None, None)


@pytest.mark.parametrize("prefix", ["", "0x"])
def test_hex_with_and_without_prefix(prefix: str) -> None:
    assert HexParam(32).convert(prefix + "ab" * 32, None, None) == b"\xab" * 32
    assert HexParam(32, least=4).convert(prefix + "01020304", None, None) == b"\x01\x02\x03\x04"


@pytest.mark.parametrize("shown", [printable])
def test_control_characters_do_not_reach_the_terminal(shown: Callable[[str], str]) -> None:
    assert shown("a\x1b[31m\r\nb\u202e") == "a [31m  b "
