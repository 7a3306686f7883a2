"""Names of images, as an engine is asked for them."""

from __future__ import annotations

import pytest

from proj.images.pulling import at_digest

DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("python", "python"),
        ("python:3.11-slim", "python"),
        ("localhost:5000/team/app", "localhost:5000/team/app"),
        ("localhost:5000/team/app:2", "localhost:5000/team/app"),
        (f"ghcr.io/a/b@sha256:{'1' * 64}", "ghcr.io/a/b"),
    ],
)
def test_a_digest_is_looked_for_in_the_repository_of_a_name(name: str, repository: str) -> None:
    assert at_digest(name, DIGEST) == f"{repository}@{DIGEST}"
