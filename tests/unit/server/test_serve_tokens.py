from __future__ import annotations

import stat
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from proj.errors import AlreadyExistsError, NotFoundError, StoreError, UsageError
from proj.server.tokens import PREFIX, TokenFile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "server-tokens.json"


def test_a_token_is_recognised_and_not_kept(path: Path) -> None:
    file = TokenFile(path)
    token = file.add("ada")
    found = file.recognise(token)
    assert found is not None
    assert (found.name, found.read_only) == ("ada", False)
    assert token.startswith(PREFIX)
    assert token not in path.read_text()
    assert token.removeprefix(PREFIX) not in path.read_text()


def test_only_the_owner_can_read_the_file(path: Path) -> None:
    TokenFile(path).add("ada")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_read_only_is_remembered(path: Path) -> None:
    TokenFile(path).add("bob", read_only=True)
    (kept,) = TokenFile(path).tokens()
    assert kept.read_only


@pytest.mark.parametrize("wrong", ["", "proj_", "x", "proj_" + "a" * 43, "proj_\udcff", "ä" * 1000])
def test_what_is_no_token_is_nobody(path: Path, wrong: str) -> None:
    file = TokenFile(path)
    assert file.recognise(wrong) is None
    file.add("ada")
    assert file.recognise(wrong) is None


def test_a_token_counts_with_its_own_name_only(path: Path) -> None:
    file = TokenFile(path)
    token, _ = file.add("ada"), file.add("bob")
    assert file.recognise(token, "ada")
    assert file.recognise(token, "bob") is None
    assert file.recognise(token, "\udcff") is None


def test_a_running_server_sees_what_others_add_and_revoke(path: Path) -> None:
    server, other = TokenFile(path), TokenFile(path)
    assert server.recognise("x") is None
    token = other.add("ada")
    assert server.recognise(token)
    other.revoke("ada")
    assert server.recognise(token) is None


def test_a_revoked_name_can_have_a_new_token(path: Path) -> None:
    file = TokenFile(path)
    first = file.add("ada")
    file.revoke("ada")
    second = file.add("ada")
    assert first != second
    assert file.recognise(first) is None
    assert file.recognise(second)


def test_a_name_has_one_token(path: Path) -> None:
    file = TokenFile(path)
    file.add("ada")
    with pytest.raises(AlreadyExistsError, match="ada") as caught:
        file.add("ada")
    assert "revoke ada" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["", " ", "a b", "a:b", "a\nb", "-a", "a/b", "ä", "x" * 65])
def test_names_that_would_confuse_a_log_or_a_header_are_refused(path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        TokenFile(path).add(name)


def test_revoking_nobody_names_those_who_are_there(path: Path) -> None:
    file = TokenFile(path)
    file.add("ada")
    with pytest.raises(NotFoundError) as caught:
        file.revoke("eve")
    assert "ada" in str(caught.value.hint)


def test_a_damaged_file_lets_nobody_in(path: Path) -> None:
    file = TokenFile(path)
    token = file.add("ada")
    path.write_text('{"version": 1, "tokens"')
    with pytest.raises(StoreError, match="damaged"):
        file.recognise(token)


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(msgspec.json.encode({"version": 2, "tokens": []}))
    with pytest.raises(StoreError, match="newer"):
        TokenFile(path).tokens()


def test_simultaneous_additions_are_all_kept(path: Path) -> None:
    names = [f"user{number}" for number in range(8)]
    threads = [threading.Thread(target=TokenFile(path).add, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [token.name for token in TokenFile(path).tokens()] == sorted(names)
