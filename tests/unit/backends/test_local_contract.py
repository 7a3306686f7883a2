from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj.backends.local import LocalBackend
from proj.testing.backends import BackendContract

if TYPE_CHECKING:
    from proj.backends.base import Backend


class TestLocalBackend(BackendContract):
    @pytest.fixture
    def backend(self) -> Backend:
        return LocalBackend()
