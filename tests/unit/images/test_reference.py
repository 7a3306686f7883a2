from __future__ import annotations

import pytest

from proj.errors import UsageError
from proj.images.reference import parse_reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag", "digest"),
    [
        ("python", "docker.io", "library/python", "latest", None),
        ("python:3.11-slim", "docker.io", "library/python", "3.11-slim", None),
        ("team/model", "docker.io", "team/model", "latest", None),
        ("index.docker.io/team/model", "docker.io", "team/model", "latest", None),
        ("localhost/x", "localhost", "x", "latest", None),
        ("localhost:5000/a/b/c:1", "localhost:5000", "a/b/c", "1", None),
        ("GHCR.io/a/b", "ghcr.io", "a/b", "latest", None),
        ("[::1]:5000/a", "[::1]:5000", "a", "latest", None),
        (f"ghcr.io/a/b@{DIGEST}", "ghcr.io", "a/b", None, DIGEST),
        (f"ghcr.io/a/b:1@{DIGEST}", "ghcr.io", "a/b", "1", DIGEST),
        ("a__b/c.d/e---f:V_1.2-3", "docker.io", "a__b/c.d/e---f", "V_1.2-3", None),
    ],
)
def test_a_name_is_read_as_docker_reads_it(
    text: str, host: str, repository: str, tag: str | None, digest: str | None
) -> None:
    found = parse_reference(text)
    assert (found.host, found.repository, found.tag, found.digest) == (host, repository, tag, digest)
    assert parse_reference(str(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        "", ":tag", "Python", "a//b", "a/", "/a", "a:b:c", "a:", "a@sha256:12", "a@md5:" + "a" * 32, "-a",
        "a/../b", "host:99999999/a", "a b", "a\nb", "x" * 300, "https://host/a", "host/a?x=1",
        "a:" + "t" * 200,
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="Not the name of an image"):
        parse_reference(text)
