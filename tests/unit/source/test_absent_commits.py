from __future__ import annotations

import pytest

from proj.errors import SourceError
from proj.model import Snapshot, SourcePart
from proj.source.restore import absent_commits

COMMIT = "1" * 40


def snapshot(url: str | None, *bases: str) -> Snapshot:
    return Snapshot(
        root=SourcePart(
            tree="2" * 40, commit=COMMIT, link=COMMIT, repository_url=url, base_commits=tuple(bases)
        )
    )


def test_a_commit_that_is_not_in_the_cache_needs_the_network() -> None:
    assert absent_commits(snapshot("https://host/team/repo", COMMIT)) == (COMMIT,)


def test_a_repository_on_this_machine_does_not() -> None:
    assert absent_commits(snapshot("/somewhere/repo.git", COMMIT)) == ()
    assert absent_commits(snapshot("https://host/repo", COMMIT), {"": "/somewhere/repo.git"}) == ()


def test_a_bundle_that_holds_all_does_not() -> None:
    assert absent_commits(snapshot("https://host/team/repo")) == ()


def test_a_commit_without_a_remote_cannot_be_had() -> None:
    with pytest.raises(SourceError, match="none is recorded"):
        absent_commits(snapshot(None, COMMIT))
