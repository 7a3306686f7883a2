from __future__ import annotations

import pytest

from proj.environments.conda.service import INSTALL_HINT
from proj.errors import EnvironmentFailedError, ImageError, ProjError
from proj.reproduction.problems import problem_of_environment

FILES = "The very files that its lock names are needed: from where they came, or from uv's cache."


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        (f"{INSTALL_HINT}; --env-manager uv takes what PyPI has of them.", INSTALL_HINT),
        ("Make room on the disk; that of the cache.",) * 2,
        ("Set it: `export TOKEN=…`.", "Set it: `export TOKEN=…`."),
        ("Not all of it is in the cache. Run once without --offline.",) * 2,
        ("Check the network. --env-manager uv takes what PyPI has.", "Check the network."),
        ("Packages are those of today; --as-of DATE takes those of another time.", FILES),
        (None, FILES),
    ],
)  # fmt: skip
def test_an_errors_own_hint_is_kept(hint: str | None, said: str) -> None:
    problem = problem_of_environment(EnvironmentFailedError("It failed.", hint=hint), locked=True)
    assert (problem.item, problem.message, problem.hint) == ("packages", "It failed.", said)


@pytest.mark.parametrize(
    ("error", "item"),
    [(ImageError("It is away."), "image"), (EnvironmentFailedError("It failed."), "environment")],
)
def test_files_of_packages_are_not_missed_where_there_is_no_lock(error: ProjError, item: str) -> None:
    problem = problem_of_environment(error, locked=False)
    assert (problem.item, problem.hint) == (item, None)
