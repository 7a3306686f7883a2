from __future__ import annotations

import pytest

from proj.errors import EnvironmentFailedError
from proj.kube.piplist import listed

HEAD = 'lock-version = "1.0"\n'


def package(name: str, *lines: str) -> str:
    return f'[[packages]]\nname = "{name}"\n' + "".join(f"{line}\n" for line in lines)


def test_wheels_of_an_index_are_named_by_version_and_hashes() -> None:
    wheel = '{ url = "https://host/a-1-py3-none-any.whl", hashes = { sha256 = "ab" } }'
    sdist = '{ url = "https://host/a-1.tar.gz", hashes = { sha256 = "aa", blake2b = "c" } }'
    found = listed(HEAD + package("a", 'version = "1"', f"wheels = [{wheel}]", f"sdist = {sdist}"))
    assert found.hashed == "a==1 --hash=sha256:aa --hash=sha256:ab\n"
    assert found.other == ""


def test_wheels_of_the_project_are_named_by_their_path() -> None:
    wheel = '{ path = "wheels/a-1-py3-none-any.whl", hashes = { sha256 = "ab" } }'
    found = listed(HEAD + package("a", 'version = "1"', f"wheels = [{wheel}]"))
    assert found.hashed == "./wheels/a-1-py3-none-any.whl --hash=sha256:ab\n"


def test_folders_have_no_hash() -> None:
    found = listed(
        HEAD + package("a", 'directory = { path = "lib/a" }') + package("b", 'directory = { path = "." }')
    )
    assert found.other == "./lib/a\n.\n"


@pytest.mark.parametrize(
    "line",
    [
        'directory = { path = "/home/ada/lib" }',
        'wheels = [{ path = "/tmp/a.whl", hashes = { sha256 = "ab" } }]',
    ],
)
def test_what_only_this_machine_has_is_refused(line: str) -> None:
    with pytest.raises(EnvironmentFailedError, match="which only this machine has") as caught:
        listed(HEAD + package("a", line))
    assert "--delivery image" in (caught.value.hint or "")
