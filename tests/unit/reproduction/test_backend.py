from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj.model import ImageRequest, Project
from proj.reproduction.backend import configured

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "recorded", [{"allow-host-path": True}, {"allow-privileges": True}, {"secrets-from": ["s3"]}]
)
def test_a_record_gives_no_leave_that_is_the_users(tmp_path: Path, recorded: dict[str, object]) -> None:
    project = Project(name="p", directory=tmp_path, file=None)
    found = configured("kubernetes", recorded, "{}", project, ImageRequest())
    assert [problem.item for problem in found.problems] == ["backend"]
    assert "that is yours to allow" in found.problems[0].message


def test_settings_of_other_backends_are_given_as_they_were(tmp_path: Path) -> None:
    project = Project(name="p", directory=tmp_path, file=None)
    recorded = {"queue": "slow", "size": 3}
    found = configured("local", recorded, '{"queue": "fast"}', project, ImageRequest())
    assert (found.config, found.problems) == ('{"size":3,"queue":"fast"}', ())
