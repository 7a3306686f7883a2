"""The image that ran, made part of the record when a run ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from proj import paths, record
from proj.kube.facts import FACTS, write_facts
from proj.model import Outcome, RunStatus
from proj.ranimage import image_tags
from proj.tracking import open_tracking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proj.tracking import Tracking

ENDED = Outcome(status=RunStatus.FINISHED, exit_code=0, started_ms=1, ended_ms=2)
DIGEST, OTHER = (f"sha256:{letter * 64}" for letter in "ab")
PULLED = f"docker-pullable://reg.example/x@{DIGEST}"
IMAGE = {"name": "x:1", "reference": "x:1", "digest": None, "image_id": None, "made": "named"}


@pytest.fixture
def tracking() -> Iterator[Tracking]:
    with open_tracking(paths.home()) as opened:
        yield opened


def ended(folder: Path, image_id: str, image: dict[str, Any] | None = IMAGE) -> None:
    (folder / "proj").mkdir(parents=True)
    write_facts(folder / "proj" / FACTS, job="j", namespace="n", pods=(), told=(), image_id=image_id)
    content = json.dumps({"format": 1, "image": image, "of a newer proj": [1]})
    (folder / record.ENVIRONMENT).write_text(content)


def tags_of(tracking: Tracking, folder: Path, **changes: Any) -> dict[str, str]:
    wanted = {"backend": "kubernetes", "outcome": ENDED, "uris": (folder.as_uri(),), **changes}
    return image_tags(tracking, folder=folder / "proj", **wanted)


def image_in(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / record.ENVIRONMENT).read_text())
    assert found["of a newer proj"] == [1]
    image: dict[str, Any] = found["image"]
    return image


def test_what_was_pulled_is_written_down_once_and_for_all(tracking: Tracking, tmp_path: Path) -> None:
    ended(tmp_path, PULLED)
    for _ in range(2):  # whoever writes down the end may die in between
        assert tags_of(tracking, tmp_path) == {record.TAG_IMAGE: DIGEST}
        assert image_in(tmp_path) == {**IMAGE, "digest": DIGEST, "reference": f"reg.example/x@{DIGEST}"}


def test_an_id_is_no_digest(tracking: Tracking, tmp_path: Path) -> None:
    ended(tmp_path, f"docker://{DIGEST}")
    tags = {record.TAG_IMAGE: DIGEST, "mlflow.docker.image.id": DIGEST}
    assert tags_of(tracking, tmp_path) == tags
    assert image_in(tmp_path) == {**IMAGE, "image_id": DIGEST}


def test_what_was_run_by_its_digest_was_that(tracking: Tracking, tmp_path: Path) -> None:
    image = {**IMAGE, "digest": OTHER}
    ended(tmp_path, PULLED, image)
    assert tags_of(tracking, tmp_path) == {record.TAG_IMAGE: OTHER}
    assert image_in(tmp_path) == image


@pytest.mark.parametrize(
    "changes",
    [
        {"backend": "local"},
        {"backend": "gone-plugin"},
        {"outcome": Outcome(status=RunStatus.FAILED, ended_ms=2)},
    ],
)
def test_what_is_not_known_is_not_said(tracking: Tracking, tmp_path: Path, changes: dict[str, Any]) -> None:
    ended(tmp_path, PULLED)
    assert tags_of(tracking, tmp_path, **changes) == {}
    assert image_in(tmp_path) == IMAGE


def test_the_file_may_be_where_the_run_is_recorded_already(tracking: Tracking, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    ended(here, PULLED)
    ended(there, "")
    (here / record.ENVIRONMENT).unlink()
    assert tags_of(tracking, here, uris=(here.as_uri(), there.as_uri())) == {record.TAG_IMAGE: DIGEST}
    assert image_in(here)["digest"] == DIGEST
    assert image_in(there)["digest"] is None
