from __future__ import annotations

from pathlib import Path

import pytest

from proj import events
from proj.backends.docker.volumes import expanded, make_sources
from proj.errors import UsageError

HERE = Path("/work/project")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("$(pwd)/data:/data:ro", "/work/project/data:/data:ro"),
        ("${PWD}:/data", "/work/project:/data"),
        ("$ROOT/x:/data", "/root/x:/data"),
        ("./data:/data", "/work/project/data:/data"),
        ("../data:/data", "/work/data:/data"),
        ("named:/data", "named:/data"),
        ("/data", "/data"),
        ("/data/in:/data:ro,z", "/data/in:/data:ro,z"),
    ],
)
def test_a_volume_is_expanded_without_a_shell(written: str, meant: str) -> None:
    assert expanded(written, HERE, {"ROOT": "/root"}) == meant


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("$(rm -rf x):/data", "neither an absolute path nor a volume's name"),
        ("data/in:/data", "neither an absolute path nor a volume's name"),
        (":/data", "the source nothing"),
        ("/data:", "the target nothing"),
        ("/data:data", "the target data"),
        ("data", "the target data"),
        ("/data:/data:rx", "the mode rx"),
        ("/a:/b:ro:/c", "the mode ro:/c"),
    ],
)
def test_a_volume_that_cannot_be_meant_is_refused(written: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        expanded(written, HERE, {})
    assert said in caught.value.message


def test_folders_that_are_not_there_are_made_and_told(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "file").touch()
    told: list[str] = []
    with events.listening(lambda event: told.append(event.message)):
        make_sources([f"{there}:/a", f"{tmp_path}/new/deep:/b:ro", "named:/c", f"{there}/file/below:/d"])
    assert (tmp_path / "new/deep").is_dir()
    assert not (tmp_path / "named").exists()
    assert told[0] == f"The volume's folder {tmp_path}/new/deep was not there: it is made, and is empty."
    assert told[1].startswith(f"The volume's folder {there}/file/below is not there, and cannot be made here")


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(UsageError, match="MISSING"):
        expanded("$MISSING:/data", HERE, {})


def test_a_value_with_a_colon_mounts_nothing_elsewhere() -> None:
    with pytest.raises(UsageError, match="colon"):
        expanded("$(pwd)", Path("/work:/etc"), {})
    with pytest.raises(UsageError, match="colon"):
        expanded("$ROOT:/data", HERE, {"ROOT": "/a:/etc"})
