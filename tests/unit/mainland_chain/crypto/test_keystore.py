"""The encrypted keystore: round trips, and everything it must refuse."""

from __future__ import annotations

import json
import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lianqiao_base import canonical
from lianqiao_base.errors import AlreadyExists, NotFound, Rejected, Retryable
from mainland_chain.crypto import _keystore_format, _private_file, protocols, sm2, sm4
from mainland_chain.crypto.keystore import Keystore

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "validator.json"


@pytest.fixture
def store(path: Path) -> Keystore:
    store = Keystore.create(path, PASSPHRASE)
    store.generate("validator-1")
    store.generate("gateway")
    return store


def _code(action: Callable[[], object]) -> str:
    with pytest.raises(Rejected) as caught:
        action()
    assert PASSPHRASE not in str(caught.value)
    return caught.value.code


def _edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_bytes())
    change(document)
    path.write_bytes(canonical.dumps(document))


def _opening(path: Path) -> str:
    return _code(lambda: Keystore.open(path, PASSPHRASE))


def test_round_trip(store: Keystore, path: Path) -> None:
    opened = Keystore.open(path, PASSPHRASE)
    assert opened.names() == ("gateway", "validator-1")
    for name in opened.names():
        key = opened.private_key(name)
        assert isinstance(key, protocols.Signer)
        assert key.to_bytes() == store.private_key(name).to_bytes()
        assert key.public_key == opened.public_key(name) == store.public_key(name)
        assert sm2.verify(opened.public_key(name), b"m", key.sign(b"m"))


def test_an_existing_key_can_be_imported(store: Keystore, path: Path) -> None:
    key = sm2.PrivateKey.generate()
    store.add("imported", key)
    assert Keystore.open(path, PASSPHRASE).private_key("imported").to_bytes() == key.to_bytes()


def test_the_file_is_canonical_private_and_holds_no_secret(store: Keystore, path: Path) -> None:
    contents = path.read_bytes()
    canonical.loads_strict(contents)
    assert path.stat().st_mode & 0o777 == 0o600
    for name in store.names():
        secret = store.private_key(name).to_bytes()
        assert secret not in contents
        assert secret.hex().encode() not in contents
    assert PASSPHRASE.encode() not in contents
    assert [p.name for p in path.parent.iterdir()] == [path.name], "no temporary files stay"
    kdf = json.loads(contents)["kdf"]
    assert (kdf["n"], kdf["r"], kdf["p"], len(kdf["salt"])) == (32768, 8, 1, 64)


def test_the_mode_does_not_depend_on_the_umask(path: Path) -> None:
    before = os.umask(0o777)
    try:
        path.parent.mkdir(mode=0o700, parents=True)
        path.parent.chmod(0o700)
        Keystore.create(path, PASSPHRASE)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_keystores_of_one_passphrase_share_no_bytes(tmp_path: Path) -> None:
    documents = []
    for name in ("a", "b"):
        Keystore.create(tmp_path / name, PASSPHRASE)
        documents.append(json.loads((tmp_path / name).read_bytes()))
    assert documents[0]["kdf"]["salt"] != documents[1]["kdf"]["salt"]
    assert documents[0]["check"] != documents[1]["check"]


@pytest.mark.parametrize("wrong", ["Correct horse battery staple", PASSPHRASE + " ", " ", "x"])
def test_wrong_passphrase(store: Keystore, path: Path, wrong: str) -> None:
    assert _code(lambda: Keystore.open(path, wrong)) == "KEYSTORE_PASSPHRASE"


def test_empty_passphrase(store: Keystore, path: Path, tmp_path: Path) -> None:
    assert _code(lambda: Keystore.open(path, "")) == "KEYSTORE_PASSPHRASE_EMPTY"
    assert _code(lambda: Keystore.create(tmp_path / "new", "")) == "KEYSTORE_PASSPHRASE_EMPTY"
    assert not (tmp_path / "new").exists()


def test_a_passphrase_is_its_characters_not_their_encoding(path: Path) -> None:
    Keystore.create(path, "cafe\u0301 链桥")
    Keystore.open(path, "caf\u00e9 链桥")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666, 0o777])
def test_a_file_others_can_access_is_refused(store: Keystore, path: Path, mode: int) -> None:
    path.chmod(mode)
    assert _opening(path) == "KEYSTORE_MODE"
    assert _code(lambda: store.generate("more")) == "KEYSTORE_MODE"


def test_a_stricter_mode_is_fine(store: Keystore, path: Path) -> None:
    path.chmod(0o400)
    Keystore.open(path, PASSPHRASE)


def test_a_file_of_another_user_is_refused(store: Keystore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert _opening(path) == "KEYSTORE_MODE"


def test_other_kinds_of_file_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert _opening(tmp_path / "fifo") == "KEYSTORE_MODE"
    (tmp_path / "directory").mkdir(mode=0o700)
    assert _opening(tmp_path / "directory") == "KEYSTORE_MODE"


def test_an_unreadable_file_is_named(store: Keystore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    assert _opening(path) == "KEYSTORE_MODE"


def test_missing(tmp_path: Path, store: Keystore, path: Path) -> None:
    assert _opening(tmp_path / "nothing") == "KEYSTORE_NOT_FOUND"
    assert _opening(path / "below") == "KEYSTORE_NOT_FOUND"
    with pytest.raises(NotFound):
        store.private_key("validator-2")
    assert _code(lambda: store.public_key("validator-2")) == "KEY_NOT_FOUND"


def test_nothing_is_overwritten(store: Keystore, path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(AlreadyExists):
        Keystore.create(path, PASSPHRASE)
    with pytest.raises(AlreadyExists):
        store.generate("gateway")
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "A", "a b", "a/b", "ä", "a" * 65, "a\n", "键"])
def test_key_names(store: Keystore, name: str) -> None:
    assert _code(lambda: store.generate(name)) == "KEY_NAME"


def test_symbolic_links_are_followed_and_kept(store: Keystore, path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(path)
    Keystore.open(link, PASSPHRASE).generate("more")
    assert link.is_symlink()
    assert "more" in Keystore.open(path, PASSPHRASE).names()
    (tmp_path / "new link").symlink_to(tmp_path / "new")
    Keystore.create(tmp_path / "new link", PASSPHRASE)
    assert (tmp_path / "new link").is_symlink()
    Keystore.open(tmp_path / "new", PASSPHRASE)


def _flip(text: str, at: int = -1) -> str:
    digits = list(text)
    digits[at] = "0" if digits[at] != "0" else "1"
    return "".join(digits)


def _swap_sealed(document: dict[str, Any]) -> None:
    a, b = document["keys"]
    a["sealed"], b["sealed"] = b["sealed"], a["sealed"]


CHANGED = {
    "an entry removed": lambda d: d["keys"].pop(),
    "an entry renamed": lambda d: d["keys"][0].update(name="fake"),
    "a public key replaced": lambda d: d["keys"][0].update(public_key=sm2.PrivateKey.generate().public_key.hex()),
    "a sealed key changed": lambda d: d["keys"][0].update(sealed=_flip(d["keys"][0]["sealed"])),
    "sealed keys exchanged": _swap_sealed,
    "an entry added": lambda d: d["keys"].append({**d["keys"][1], "name": "z"}),
    "the list's seal changed": lambda d: d.update(directory=_flip(d["directory"])),
    "an entry twice": lambda d: d["keys"].append(d["keys"][1]),
    "entries unsorted": lambda d: d["keys"].reverse(),
    "a bad name": lambda d: d["keys"][0].update(name="Gateway"),
    "a public key off the curve": lambda d: d["keys"][0].update(public_key=_flip(d["keys"][0]["public_key"])),
    "a short sealed key": lambda d: d["keys"][0].update(sealed=d["keys"][0]["sealed"][2:]),
    "upper-case hex": lambda d: d.update(check="AB" * 28),
    "not hex": lambda d: d.update(check="zz" * 28),
    "a short check": lambda d: d.update(check=d["check"][2:]),
    "hex as a number": lambda d: d.update(check=1),
    "another version": lambda d: d.update(version=2),
    "version true": lambda d: d.update(version=True),
    "another format": lambda d: d.update(format="other"),
    "an unknown member": lambda d: d.update(extra=1),
    "a missing member": lambda d: d.pop("check"),
    "keys as an object": lambda d: d.update(keys={}),
    "an entry as a string": lambda d: d["keys"].append("x"),
    "an entry with more": lambda d: d["keys"][0].update(extra=1),
    "a name as a number": lambda d: d["keys"][0].update(name=1),
    "another derivation": lambda d: d["kdf"].update(name="argon2"),
    "n too small": lambda d: d["kdf"].update(n=2**14),
    "n too large": lambda d: d["kdf"].update(n=2**19),
    "n not a power of two": lambda d: d["kdf"].update(n=2**15 + 1),
    "n as text": lambda d: d["kdf"].update(n="32768"),
    "n zero": lambda d: d["kdf"].update(n=0),
    "r larger": lambda d: d["kdf"].update(r=1024),
    "p zero": lambda d: d["kdf"].update(p=0),
    "p larger": lambda d: d["kdf"].update(p=5),
    "a short salt": lambda d: d["kdf"].update(salt=d["kdf"]["salt"][2:]),
}


@pytest.mark.parametrize("name", CHANGED)
def test_changed_files_are_refused(store: Keystore, path: Path, name: str) -> None:
    _edit(path, CHANGED[name])
    assert _opening(path) == "KEYSTORE_CORRUPTED"


# Changes that only the seals can show; every other one must be refused by the format alone, before any key is derived.
SEALED = {
    "an entry removed",
    "an entry renamed",
    "a public key replaced",
    "a sealed key changed",
    "sealed keys exchanged",
    "an entry added",
    "the list's seal changed",
}


@pytest.mark.parametrize("name", [name for name in CHANGED if name not in SEALED])
def test_changed_formats_are_refused_without_the_passphrase(store: Keystore, path: Path, name: str) -> None:
    _edit(path, CHANGED[name])
    with pytest.raises(Rejected):
        _keystore_format.parse(path.read_bytes())


@pytest.mark.parametrize("parameters", [{"n": 2**16}, {"p": 2}, {"salt": "00" * 32}])
def test_other_derivation_parameters_do_not_open(store: Keystore, path: Path, parameters: dict[str, Any]) -> None:
    _edit(path, lambda d: d["kdf"].update(parameters))
    assert _opening(path) == "KEYSTORE_PASSPHRASE"


@pytest.mark.parametrize("contents", [b"", b"{}", b"null", b"[]", b"\xff", b"x" * 100, b"[" * 100_000], ids=range(7))
def test_other_contents_are_refused(store: Keystore, path: Path, contents: bytes) -> None:
    path.write_bytes(contents)
    assert _opening(path) == "KEYSTORE_CORRUPTED"


def test_a_form_that_is_not_canonical_is_refused(store: Keystore, path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")
    assert _opening(path) == "KEYSTORE_CORRUPTED"


def test_oversized_files_are_not_read(store: Keystore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_private_file, "MAX_BYTES", path.stat().st_size - 1)
    assert _opening(path) == "KEYSTORE_CORRUPTED"
    monkeypatch.setattr(_private_file, "MAX_BYTES", path.stat().st_size)
    Keystore.open(path, PASSPHRASE)


def _replace_entry(store: Keystore, name: str, secret: bytes, aad: bytes) -> None:
    """What only a holder of the passphrase can do: reseal an entry and the list."""
    old = store._opened.document
    entries = tuple(
        _keystore_format.Entry(e.name, e.public_key, sm4.seal(store._key, aad, secret)) if e.name == name else e
        for e in old.entries
    )
    opened = Keystore._seal(store._key, old.kdf, entries)
    _private_file.replace(store.path, opened.contents)


def test_an_entry_is_bound_to_its_name_and_public_key(store: Keystore, path: Path) -> None:
    secret, public = store.private_key("gateway").to_bytes(), store.public_key("gateway")
    for aad in (
        _keystore_format.entry_aad("gatewaz", public),
        _keystore_format.entry_aad("validator-1", public),
        _keystore_format.entry_aad("gateway", store.public_key("validator-1")),
    ):
        _replace_entry(store, "gateway", secret, aad)
        opened = Keystore.open(path, PASSPHRASE)
        assert _code(lambda opened=opened: opened.private_key("gateway")) == "KEYSTORE_CORRUPTED"
    _replace_entry(store, "gateway", secret, _keystore_format.entry_aad("gateway", public))
    assert Keystore.open(path, PASSPHRASE).private_key("gateway").to_bytes() == secret


@pytest.mark.parametrize("secret", [bytes(32), sm2.PrivateKey.generate().to_bytes()], ids=["out of range", "another"])
def test_an_entry_with_another_secret_is_refused(store: Keystore, path: Path, secret: bytes) -> None:
    _replace_entry(store, "gateway", secret, _keystore_format.entry_aad("gateway", store.public_key("gateway")))
    assert _code(lambda: Keystore.open(path, PASSPHRASE).private_key("gateway")) == "KEYSTORE_CORRUPTED"


def test_names_and_keys_cannot_run_into_each_other() -> None:
    assert _keystore_format.entry_aad("a", b"b" + bytes(63)) != _keystore_format.entry_aad("ab", bytes(63))


def test_a_change_by_another_process_is_not_lost(store: Keystore, path: Path) -> None:
    other = Keystore.open(path, PASSPHRASE)
    other.generate("theirs")
    with pytest.raises(Retryable) as caught:
        store.generate("ours")
    assert caught.value.code == "KEYSTORE_CHANGED"
    assert "theirs" in Keystore.open(path, PASSPHRASE).names()


def test_threads_lose_no_key(store: Keystore, path: Path) -> None:
    threads = [threading.Thread(target=store.generate, args=(f"key-{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Keystore.open(path, PASSPHRASE).names()) == 10


@pytest.mark.parametrize("step", ["fsync", "fchmod"])
def test_a_failed_write_leaves_the_old_file(
    store: Keystore, path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = path.read_bytes()

    def fail(*arguments: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="disk full"):
        store.generate("more")
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert "more" not in store.names()
    store.generate("more")


def test_data_reach_the_disk_before_the_name_and_then_the_name(
    store: Keystore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def recording_fsync(descriptor: int) -> None:
        events.append("sync " + ("directory" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file"))  # noqa: PTH112
        fsync(descriptor)

    def recording_replace(self: Path, target: Path) -> Path:
        events.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(Path, "replace", recording_replace)
    store.generate("more")
    assert events == ["sync file", "rename", "sync directory"]


def test_an_opened_keystore_shows_no_secret(store: Keystore) -> None:
    assert store._key.hex() not in repr(store)
    assert repr(store._key) not in repr(store)
    assert not hasattr(store, "__dict__")
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(store)
