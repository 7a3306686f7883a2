"""What is said where the image that a project is put on cannot be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj.environments.container import ContainerEnvironment
from proj.environments.elsewhere import refuse_folders
from proj.errors import EnvironmentFailedError, ImageError
from proj.images import http
from proj.images.http import Patience
from proj.model import EnvironmentRequest, ImageRequest

if TYPE_CHECKING:
    from pathlib import Path

BASES = {
    "python_env.yaml": ('python: "3.10"\ndependencies: [alpha]\n', "python:3.10-slim"),
    "conda.yaml": ("dependencies: [python=3.10, alpha]\n", "debian:12-slim"),
    "README": ("", "python:3."),
}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setattr(http, "Patience", lambda: Patience(tries=1))


def refused(folder: Path, base: str | None = None) -> ImageError:
    request = EnvironmentRequest(
        project_dir=folder, root=folder, target="cluster", image=ImageRequest(base=base)
    )
    with pytest.raises(ImageError) as caught:
        ContainerEnvironment().prepare(request)
    return caught.value


@pytest.mark.parametrize("file", BASES)
def test_a_stock_image_that_cannot_be_had_is_named(project: Path, file: str) -> None:
    content, base = BASES[file]
    (project / file).write_text(content)
    error = refused(project)
    assert error.message.startswith(f"The image {base}")
    assert "docker.io cannot be reached" in error.message
    assert error.code == "image_pull"
    assert (error.hint or "").endswith("the project's image is made on; --base-image names another one.")
    assert base in (error.hint or "")


def test_an_image_that_was_named_needs_no_such_advice(project: Path) -> None:
    error = refused(project, "debian:11-slim")
    assert error.message.startswith("The image debian:11-slim cannot be had: docker.io")
    assert "--base-image" not in (error.hint or "")


@pytest.mark.parametrize(
    ("folder", "said"), [(".", "the project's own folder"), ("../lib", "the folder `../lib`")]
)
def test_a_folder_that_is_to_be_installed_is_named(folder: str, said: str) -> None:
    lock = f'[[packages]]\nname = "own"\ndirectory = {{ path = "{folder}", editable = true }}\n'
    with pytest.raises(EnvironmentFailedError) as caught:
        refuse_folders(lock, "conda.yaml")
    assert caught.value.message == f"conda.yaml installs {said} as a package, which is not done in an image."
    assert f"`PYTHONPATH={folder} python …`" in (caught.value.hint or "")
