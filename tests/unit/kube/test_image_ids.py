"""What a cluster says of the image that ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj.kube.facts import image_that_ran, parse_image_id
from proj.kube.objects import Container, ContainerStatus, Meta, Pod, PodSpec, PodStatus
from proj.kube.state import JobState
from proj.model import RanImage

if TYPE_CHECKING:
    from pathlib import Path

HEX = "a" * 64
DIGEST = f"sha256:{HEX}"
PULLED = f"127.0.0.1:5000/team/x@{DIGEST}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"docker-pullable://{PULLED}", RanImage(reference=PULLED, digest=DIGEST)),
        (PULLED, RanImage(reference=PULLED, digest=DIGEST)),
        (f"docker://{DIGEST}", RanImage(reference=DIGEST, image_id=DIGEST)),
        (DIGEST, RanImage(reference=DIGEST, image_id=DIGEST)),
        (HEX, RanImage(reference=DIGEST, image_id=DIGEST)),
        ("", None),
        ("x:latest", None),
        ("x@sha256:12", None),
    ],
)
def test_ids_of_all_runtimes_are_understood(text: str, found: RanImage | None) -> None:
    assert parse_image_id(text) == found


def test_the_container_of_the_program_counts_in_the_youngest_pod(tmp_path: Path) -> None:
    state, path = JobState("j"), tmp_path / "kubernetes.json"
    state.write(path, "n")
    assert image_that_ran(path) is None
    for number in (1, 2):
        statuses = (
            ContainerStatus(name="aside", image_id=f"y@sha256:{'c' * 64}"),
            ContainerStatus(name="main", image_id=f"x@sha256:{str(number) * 64}"),
        )
        state.take_pod("ADDED", Pod(
            metadata=Meta(
                name=f"p{number}", uid=str(number), creation_timestamp=f"2024-01-0{number}T00:00:00Z"
            ),
            spec=PodSpec(containers=(Container(name="main"), Container(name="aside"))),
            status=PodStatus(container_statuses=statuses),
        ))  # fmt: skip
    state.write(path, "n")
    digest = f"sha256:{'2' * 64}"
    assert image_that_ran(path) == RanImage(reference=f"x@{digest}", digest=digest)


def test_facts_of_an_older_proj_and_damaged_ones_name_no_image(tmp_path: Path) -> None:
    path = tmp_path / "kubernetes.json"
    assert image_that_ran(path) is None
    for content in (b"{", b'{"job": "j", "namespace": "n", "pods": [], "events": []}'):
        path.write_bytes(content)
        assert image_that_ran(path) is None
