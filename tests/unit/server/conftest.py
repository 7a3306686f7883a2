from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from httpkit import Client, serving
from proj.tracking import Tracking, open_tracking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def tracking(tmp_path: Path) -> Iterator[Tracking]:
    with contextlib.closing(open_tracking(tmp_path / "home")) as opened:
        yield opened


@pytest.fixture
def client(tracking: Tracking) -> Iterator[Client]:
    with serving(tracking) as served:
        yield served
