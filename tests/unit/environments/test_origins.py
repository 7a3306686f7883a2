from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from proj.environments import origins
from proj.environments.facts import packages_in
from proj.model import Package

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("direct", "source", "pinned"),
    [
        ({"url": "file:///a%20b", "dir_info": {"editable": True}}, "-e /a b", False),
        ({"url": "file:///a", "dir_info": {}}, "/a", False),
        (
            {"url": "https://me:pass@host/x", "vcs_info": {"vcs": "git", "commit_id": "5f"}},
            "git+https://host/x@5f",
            True,
        ),
        (
            {"url": "https://host/x.whl", "archive_info": {"hashes": {"sha256": "00"}}},
            "https://host/x.whl#sha256=00",
            True,
        ),
        ({"url": "https://host/x.whl", "archive_info": {}}, "https://host/x.whl", False),
    ],
)
def test_where_a_package_comes_from(
    direct: dict[str, Any], source: str, tmp_path: Path, *, pinned: bool
) -> None:
    metadata = tmp_path / "x-1.dist-info"
    metadata.mkdir()
    (metadata / "direct_url.json").write_text(json.dumps(direct))
    assert packages_in([tmp_path]) == (Package(name="x", version="1", source=source),)
    assert origins.is_pinned(source) is pinned
    (metadata / "INSTALLER").write_text("conda\n")
    assert origins.source_of(metadata) is None


def test_the_proj_that_makes_the_record_counts_by_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = tmp_path / "proj-1.dist-info"
    metadata.mkdir()
    (metadata / "direct_url.json").write_text('{"url": "file:///a", "dir_info": {"editable": true}}')
    (another,) = packages_in([tmp_path])
    assert another.source == "-e /a", "of another environment it is a package like any other"
    monkeypatch.syspath_prepend(str(tmp_path))
    assert packages_in([tmp_path]) == (Package(name="proj", version="1"),)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"url": 1}', "\0"])
def test_what_makes_no_sense_says_nothing(content: str, tmp_path: Path) -> None:
    assert origins.source_of(tmp_path) is None
    (tmp_path / "direct_url.json").write_text(content)
    assert origins.source_of(tmp_path) is None


def test_links_of_setuptools_are_used_in_place(tmp_path: Path) -> None:
    (tmp_path / "My_Lib.egg-link").write_text("/src/lib\n.\n")
    assert packages_in([tmp_path]) == (Package(name="my-lib", version="", source="-e /src/lib"),)
