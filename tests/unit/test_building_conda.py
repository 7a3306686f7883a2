from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj.building import BuildRequest, build
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from pathlib import Path


def test_an_image_never_lacks_conda_packages_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proj.environments.conda.imaged.is_installed", lambda: False)
    (tmp_path / "MLproject").write_text("conda_env: conda.yaml\nentry_points: {main: {command: 'true'}}\n")
    (tmp_path / "conda.yaml").write_text("dependencies: [python=3.11, cudatoolkit, numpy]\n")
    with pytest.raises(
        EnvironmentFailedError, match="nothing here that puts conda packages into an image"
    ) as caught:
        build(BuildRequest(uri=str(tmp_path)))
    assert "proj[conda]" in (caught.value.hint or "")
    assert "--env-manager uv" in (caught.value.hint or "")
