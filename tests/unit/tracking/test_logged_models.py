from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj.testing.logged_models import LoggedModelContract
from proj.tracking import open_tracking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proj.tracking import Tracking


class TestContract(LoggedModelContract):
    @pytest.fixture
    def tracking(self, tmp_path: Path) -> Iterator[Tracking]:
        with open_tracking(tmp_path) as tracking:
            yield tracking
