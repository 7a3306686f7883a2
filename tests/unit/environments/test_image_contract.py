"""The environments that are images keep the contract too, on the real engine."""

from __future__ import annotations

import contextlib
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from conda_kit import CondaPackage, make_channel
from dockerkit import new_image
from proj.environments.container import ContainerEnvironment
from proj.environments.image import ImageEnvironment
from proj.images.engine import EngineError
from proj.images.pulling import find
from proj.model import (
    DockerBuild,
    DockerDeclaration,
    EnvironmentDeclaration,
    EnvironmentRequest,
    ImageRequest,
    ImageRuntime,
)
from proj.testing.environments import EnvironmentContract

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proj.environments.base import Environment
    from proj.images.engine import Engine

pytestmark = pytest.mark.docker
PYTHON = ".".join(map(str, sys.version_info[:2]))


def _named(
    folder: Path, image: str, build: DockerBuild | None = None, *, bake: bool = False
) -> EnvironmentRequest:
    declared = DockerDeclaration(image=image, build=build)
    return EnvironmentRequest(
        project_dir=folder,
        root=folder,
        target="engine",
        declaration=EnvironmentDeclaration(kind="docker_env", docker=declared),
        image=ImageRequest(pull="never", bake=bake),
    )


@pytest.fixture
def own_name(engine: Engine) -> Iterator[str]:
    """A name of a project's image, which is gone afterwards with what was made under it."""
    name = f"contract-{uuid.uuid4().hex[:12]}"
    yield name
    for made in (f"{name}:1", f"proj/{name}:code", f"proj/{name}:dockerfile"):
        with contextlib.suppress(EngineError):
            engine.ask("DELETE", f"/images/{made}")


class TestNamed(EnvironmentContract):
    """An image that is there."""

    @pytest.fixture
    def environment(self) -> Environment:
        return ImageEnvironment()

    @pytest.fixture
    def environment_request(self, tmp_path: Path, shell_image: str) -> EnvironmentRequest:
        return _named(tmp_path, shell_image)

    @pytest.fixture
    def impossible_request(self, tmp_path: Path, engine: Engine) -> EnvironmentRequest:  # noqa: ARG002  it has to be there
        return _named(tmp_path, "proj-test/no-such-image:1")


class TestBaked(TestNamed):
    """Code put into an image that is there."""

    foretells = False

    @pytest.fixture
    def environment_request(self, tmp_path: Path, own_name: str) -> EnvironmentRequest:
        new_image(f"{own_name}:1")
        (tmp_path / "train.sh").write_text("true\n")
        return _named(tmp_path, f"{own_name}:1", bake=True)


class TestDockerfile(TestNamed):
    """An image built by the project's Dockerfile."""

    foretells = False

    @pytest.fixture
    def environment_request(self, tmp_path: Path, own_name: str, shell_image: str) -> EnvironmentRequest:
        (tmp_path / "Dockerfile").write_text(f"ARG BASE\nFROM $BASE\nCOPY Dockerfile /{own_name}\n")
        return _named(tmp_path, own_name, DockerBuild(args={"BASE": shell_image}))

    @pytest.fixture
    def impossible_request(self, tmp_path: Path, own_name: str, shell_image: str) -> EnvironmentRequest:
        (tmp_path / "Dockerfile").write_text(
            f'FROM {shell_image}\nRUN ["/bin/sh", "-c", "echo because; exit 3"]\n'
        )
        return _named(tmp_path, own_name, DockerBuild())

    def test_what_was_built_has_a_name(
        self, environment: Environment, environment_request: EnvironmentRequest, own_name: str, engine: Engine
    ) -> None:
        """`docker image prune` leaves it alone."""
        runtime = environment.prepare(environment_request).runtime
        assert isinstance(runtime, ImageRuntime)
        found = find(engine, f"proj/{own_name}:dockerfile")
        assert found is not None
        assert found.image_id == runtime.image_id


class TestContainer(EnvironmentContract):
    """Packages and code on a base."""

    foretells = False

    @pytest.fixture
    def environment(self) -> Environment:
        return ContainerEnvironment()

    @pytest.fixture
    def environment_request(self, tmp_path: Path, own_name: str, python_image: str) -> EnvironmentRequest:
        return _packages(tmp_path / own_name, "alpha", python_image)

    @pytest.fixture
    def impossible_request(self, tmp_path: Path, own_name: str, python_image: str) -> EnvironmentRequest:
        return _packages(tmp_path / own_name, "no-such-package", python_image)


class TestContainerWithoutPackages(TestContainer):
    """Code alone on a base."""

    @pytest.fixture
    def environment_request(self, tmp_path: Path, own_name: str, python_image: str) -> EnvironmentRequest:
        return _packages(tmp_path / own_name, None, python_image)


class TestContainerWithCondaPackages(TestContainer):
    """Packages of conda's and code on a base without Python."""

    @pytest.fixture
    def tiny_channel(self, tmp_path: Path) -> Path:
        packages = [CondaPackage(name="tool", files={"bin/tool": "#!/bin/sh\necho tool\n"})]
        return make_channel(tmp_path / "channel", packages)

    @pytest.fixture
    def environment_request(
        self, tmp_path: Path, own_name: str, shell_image: str, tiny_channel: Path
    ) -> EnvironmentRequest:
        return _conda_packages(tmp_path / own_name, "tool", shell_image, tiny_channel)

    @pytest.fixture
    def impossible_request(
        self, tmp_path: Path, own_name: str, shell_image: str, tiny_channel: Path
    ) -> EnvironmentRequest:
        return _conda_packages(tmp_path / own_name, "no-such-package", shell_image, tiny_channel)


def _conda_packages(folder: Path, package: str, base: str, channel: Path) -> EnvironmentRequest:
    request = _packages(folder, None, base)
    (folder / "conda.yaml").write_text(
        f"channels: ['{channel.as_uri()}', nodefaults]\ndependencies: [{package}]\n"
    )
    return request


def _packages(folder: Path, package: str | None, base: str) -> EnvironmentRequest:
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text(f"print({folder.name!r})\n")
    if package is not None:
        (folder / "python_env.yaml").write_text(f'python: "{PYTHON}"\ndependencies: [{package}]\n')
    image = ImageRequest(base=base, pull="never")
    return EnvironmentRequest(project_dir=folder, root=folder, target="engine", image=image)
