from __future__ import annotations

import pytest

from records import Command


@pytest.fixture
def proj(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)
