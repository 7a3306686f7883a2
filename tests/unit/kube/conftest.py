from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakeapi import Asked, FakeApi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Asked], None]], FakeApi]]:
    """Start API servers that answer as a test says."""
    made: list[FakeApi] = []

    def start(respond: Callable[[Asked], None]) -> FakeApi:
        made.append(FakeApi(respond))
        return made[-1]

    yield start
    for api in made:
        api.close()
