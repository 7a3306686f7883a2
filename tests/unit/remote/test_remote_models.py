"""The contracts of the stores of models, over one of our servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from httpkit import serving
from proj.remote.store import open_remote
from proj.testing.inputs import InputContract
from proj.testing.logged_models import LoggedModelContract
from proj.testing.registry import ModelRegistryContract
from proj.tracking import open_tracking
from remotekit import INPUTS_DIFFER, MODELS_DIFFER, REGISTRY_DIFFERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proj.tracking import Tracking


@pytest.fixture(name="tracking")
def _tracking(tmp_path: Path) -> Iterator[Tracking]:
    with (
        open_tracking(tmp_path) as kept,
        serving(kept) as served,
        open_remote(served.url) as tracking,
    ):
        yield tracking


class TestRegistry(ModelRegistryContract):
    differences = REGISTRY_DIFFERS

    @pytest.fixture
    def tracking(self, tracking: Tracking) -> Tracking:
        return tracking


class TestLoggedModels(LoggedModelContract):
    differences = MODELS_DIFFER

    @pytest.fixture
    def tracking(self, tracking: Tracking) -> Tracking:
        return tracking


class TestInputs(InputContract):
    differences = INPUTS_DIFFER

    @pytest.fixture
    def tracking(self, tracking: Tracking) -> Tracking:
        return tracking
