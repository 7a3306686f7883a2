"""The image of a run that is made again in a pod: the one that ran, where that can be pulled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from environment_kit import make_request
from proj import events
from proj.environments.recipe import RecipeEnvironment
from proj.model import ImageRequest, RecipeRuntime

if TYPE_CHECKING:
    from pathlib import Path

    from registrykit import FakeRegistry

DIGEST = f"sha256:{'a' * 64}"


def made(project: Path, image: ImageRequest, *, offline: bool = False) -> tuple[RecipeRuntime, str]:
    """The runtime of a project without packages, and what was said."""
    said: list[str] = []
    request = make_request(project, target="cluster", image=image, manager="local", offline=offline)
    with events.listening(lambda event: said.append(event.message)):
        runtime = RecipeEnvironment().prepare(request).runtime
    assert isinstance(runtime, RecipeRuntime)
    return runtime, " ".join(said)


@pytest.fixture
def asked(fake_registry: FakeRegistry) -> ImageRequest:
    return ImageRequest(base=f"{fake_registry.host}/team/x:1", recorded_digest=DIGEST)


def test_what_ran_is_taken_by_its_digest(
    project: Path, fake_registry: FakeRegistry, asked: ImageRequest
) -> None:
    fake_registry.manifests["team/x", DIGEST] = (b"{}", "application/json")
    pinned = f"{fake_registry.host}/team/x@{DIGEST}"
    runtime, said = made(project, asked)
    assert (runtime.image, runtime.digest, said) == (pinned, DIGEST, "")


def test_what_ran_is_taken_from_where_the_node_had_it(
    project: Path, fake_registry: FakeRegistry, asked: ImageRequest
) -> None:
    """A name without a registry means another one to each node."""
    pinned = f"{fake_registry.host}/mirror/x@{DIGEST}"
    fake_registry.manifests["mirror/x", DIGEST] = (b"{}", "application/json")
    runtime, said = made(project, msgspec.structs.replace(asked, recorded_reference=pinned))
    assert (runtime.image, runtime.digest, said) == (pinned, DIGEST, "")


def test_what_is_gone_is_told(project: Path, asked: ImageRequest) -> None:
    runtime, said = made(project, asked)
    assert (runtime.image, runtime.digest) == (asked.base, None)
    assert "is not in its registry any more" in said
    assert "another image" in said


@pytest.mark.parametrize("offline", [False, True])
def test_a_registry_that_cannot_be_asked_may_answer_the_cluster(
    project: Path, fake_registry: FakeRegistry, asked: ImageRequest, offline: bool
) -> None:
    fake_registry.fail("HEAD", "/manifests/", status=403)
    runtime, said = made(project, asked, offline=offline)
    assert (runtime.digest, said) == (DIGEST, "")
    assert bool(fake_registry.requests) is not offline


def test_an_id_cannot_be_pulled(project: Path, asked: ImageRequest) -> None:
    asked = msgspec.structs.replace(asked, recorded_digest=None, recorded_id=DIGEST)
    runtime, said = made(project, asked)
    assert (runtime.image, runtime.digest) == (asked.base, None)
    assert "by its id alone" in said


def test_an_image_that_is_named_by_its_digest_is_that(project: Path) -> None:
    name = f"reg.example/x@sha256:{'b' * 64}"
    runtime, said = made(project, ImageRequest(base=name, recorded_digest=DIGEST))
    assert (runtime.image, runtime.digest, said) == (name, name.partition("@")[2], "")
