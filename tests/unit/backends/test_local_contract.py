from __future__ import annotations

import pytest

from proj.backends.base import Backend
from proj.backends.local import LocalBackend
from proj.testing.backends import BackendContract


class TestLocalBackend(BackendContract):
    @pytest.fixture
    def backend(self) -> Backend:
        return LocalBackend()
