"""The cache of conda packages: how it is listed, and what is removed of it and when."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from environment_kit import age
from proj.environments.cache import in_use, remove_entry
from proj.environments.conda.environment import CondaEnvironment
from proj.environments.conda.packages import cached_packages
from proj.environments.conda.service import cache_folder, kept_here
from proj.environments.inventory import list_environments, prune
from proj.environments.verify import verify

if TYPE_CHECKING:
    from environment_kit import RequestMaker
    from proj.model import PreparedEnvironment
    from unit.environments.conda.conftest import CondaProjectMaker

ENVIRONMENT = CondaEnvironment()
RUN = "0123456789abcdef0123456789abcdef"


def made_of(*dependencies: str, maker: CondaProjectMaker, request_for: RequestMaker) -> PreparedEnvironment:
    """An environment that was used an hour ago."""
    prepared = ENVIRONMENT.prepare(request_for(maker(*dependencies)))
    age(prepared, 3600)
    return prepared


def in_cache() -> list[str]:
    return sorted(path.name for path in (cache_folder() / "packages").iterdir() if path.is_dir())


def test_what_no_environment_is_made_of_goes(
    conda_project: CondaProjectMaker, request_for: RequestMaker
) -> None:
    old = made_of("alpha<2", "tool", "python=3.9", maker=conda_project, request_for=request_for)
    assert old.directory is not None
    made_of("alpha<2", "python=3.9", maker=conda_project, request_for=request_for)
    assert in_cache() == ["alpha-1.0-py_0", "python-3.9.18-h1_0", "tool-1.0-0"]
    assert cached_packages().count == 3
    assert cached_packages().size_bytes > 0
    assert prune().conda_packages.count == 0
    (old.directory.parent / "complete").unlink()
    dry = prune(dry_run=True)
    assert (len(dry.removed), dry.conda_packages.count) == (1, 1)
    assert len(in_cache()) == 3
    result = prune()
    assert (len(result.removed), result.conda_packages.count) == (1, 1)
    assert result.freed_bytes == dry.freed_bytes >= result.conda_packages.size_bytes > 0
    assert in_cache() == ["alpha-1.0-py_0", "python-3.9.18-h1_0"]
    (left,) = list_environments()
    assert verify(left) == ()


def test_what_is_gone_is_had_again(conda_project: CondaProjectMaker, request_for: RequestMaker) -> None:
    prepared = made_of("alpha", maker=conda_project, request_for=request_for)
    assert prepared.directory is not None
    assert prune(older_than_s=60).conda_packages.count == len(prepared_packages(prepared))
    assert in_cache() == []
    again = made_of("alpha", maker=conda_project, request_for=request_for)
    assert again.lock_digest == prepared.lock_digest
    assert verify(list_environments()[0]) == ()


def prepared_packages(prepared: PreparedEnvironment) -> list[str]:
    assert prepared.lock is not None
    return [line for line in prepared.lock.decode().splitlines() if line.startswith("file:")]


def test_what_is_used_or_being_installed_stays(
    conda_project: CondaProjectMaker, request_for: RequestMaker
) -> None:
    prepared = made_of("alpha<2", "python=3.9", maker=conda_project, request_for=request_for)
    with in_use(prepared, RUN):
        age(prepared, 3600)
        result = prune(everything=False, older_than_s=60)
        assert (len(result.in_use), result.conda_packages.count) == (1, 0)
    assert len(in_cache()) == 2
    with kept_here():
        result = prune(everything=True)
    assert (len(result.removed), result.conda_packages.count, result.conda_packages_in_use) == (1, 0, True)
    assert len(in_cache()) == 2
    assert prune().conda_packages.count == 2


@pytest.mark.parametrize("damage", ["changed", "gone", "no list of files"])
def test_a_package_that_is_damaged_in_the_cache_is_had_again(
    conda_project: CondaProjectMaker, request_for: RequestMaker, damage: str
) -> None:
    """Environments are links to it: a program that writes into its own files changes it."""
    first = made_of("alpha", maker=conda_project, request_for=request_for)
    assert first.directory is not None
    package = cache_folder() / "packages" / "alpha-2.0-py_0"
    module = package / "site-packages" / "alpha.py"
    if damage == "changed":
        module.write_text("version = '0.0'\n")
        assert verify(list_environments()[0]) != ()
    else:
        (module if damage == "gone" else package / "info" / "paths.json").unlink()
    assert remove_entry(first.directory.parent)
    made_of("alpha", maker=conda_project, request_for=request_for)
    assert module.read_text() == "version = '2.0'\n"
    assert verify(list_environments()[0]) == ()


def test_everything(conda_project: CondaProjectMaker, request_for: RequestMaker) -> None:
    assert prune(everything=True).conda_packages.count == 0
    made_of("alpha", maker=conda_project, request_for=request_for)
    (cache_folder() / "removed-0123").mkdir()  # what a prune that was killed has left
    assert prune(everything=True).conda_packages.count > 0
    assert os.listdir(cache_folder()) == ["lock"]  # noqa: PTH208  names
    made_of("alpha", maker=conda_project, request_for=request_for)
