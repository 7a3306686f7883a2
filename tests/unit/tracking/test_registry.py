from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from proj.testing.registry import ModelRegistryContract
from proj.tracking import open_tracking
from proj.tracking.logged_models import NewLoggedModel
from proj.tracking.registry import NewModelVersion

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proj.tracking import Tracking


class TestContract(ModelRegistryContract):
    @pytest.fixture
    def tracking(self, tmp_path: Path) -> Iterator[Tracking]:
        with open_tracking(tmp_path) as tracking:
            yield tracking


def test_versions_are_found_in_a_home_that_was_moved(tmp_path: Path) -> None:
    with open_tracking(tmp_path / "one") as tracking:
        logged = tracking.logged_models.create_logged_model(NewLoggedModel(experiment_id="0"))
        tracking.registry.create_model("wine")
        tracking.registry.create_version("wine", NewModelVersion(source=f"models:/{logged.model_id}"))
    shutil.move(tmp_path / "one", tmp_path / "two")
    with open_tracking(tmp_path / "two") as tracking:
        version = tracking.registry.version("wine", 1)
        moved = tracking.logged_models.logged_model(logged.model_id)
    assert version.storage_location == moved.artifact_location
    base = (tmp_path / "two" / "artifacts").as_uri()
    assert moved.artifact_location == f"{base}/models/{logged.model_id}/artifacts"
