"""What cannot be meant, in arguments of `docker run` and in `DOCKER_HOST`, is told without a traceback."""

from __future__ import annotations

import pytest

from proj.backends.docker import arguments
from proj.errors import ImageError, UsageError
from proj.images.engine import Engine


@pytest.mark.parametrize(
    ("name", "value"), [("cpus", "inf"), ("pids-limit", "1e999"), ("memory", "9" * 400), ("cpus", "nan")]
)
def test_numbers_without_end_are_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"The docker argument {name}="):
        arguments.apply({}, [(name, value)])


@pytest.mark.parametrize("host", ["tcp://h:port", "tcp://h:99999", "tcp://[::1"])
def test_an_address_that_is_none_is_told(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(ImageError, match="which is no address"):
        Engine()
