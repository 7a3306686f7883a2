from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from proj import events, planning
from proj.errors import ProjError
from proj.model import ImageRequest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("backend", "docker_args", "image", "told"),
    [
        ("local", (), ImageRequest(), []),
        ("local", (("gpus", "all"),), ImageRequest(), ["What was said of an image"]),
        ("local", (), ImageRequest(pull="always"), ["What was said of an image"]),
        ("kubernetes", (), ImageRequest(platform="linux/amd64", bake=True), []),
        (
            "kubernetes",
            (("gpus", "all"),),
            ImageRequest(pull="never", credentials={"username": "u", "password": "p"}),
            ["-A", "--pull", "docker_auth"],
        ),
    ],
)
def test_what_the_backend_takes_no_notice_of_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    backend: str,
    docker_args: tuple[tuple[str, str | None], ...],
    image: ImageRequest,
    told: list[str],
) -> None:
    (tmp_path / "MLproject").write_text("entry_points: {main: {command: 'true'}}\n")
    request = planning.RunRequest(
        uri=str(tmp_path), backend=backend, docker_args=docker_args, image=image, env_manager="local"
    )
    heard: list[str] = []
    monkeypatch.setenv("KUBECONFIG", "/nowhere")  # it goes no further there
    with (
        contextlib.suppress(ProjError),
        events.listening(lambda event: heard.append(event.message)),
        planning.planned(request) as plan,
    ):
        planning.discard(plan)
    said = [text for text in heard if "has no effect" in text]
    assert len(said) == len(told)
    assert all(text.startswith(start) for text, start in zip(said, told, strict=True))
