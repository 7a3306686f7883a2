"""Which image a name meant when a pod pulled it: in the record of a run on a real cluster, and made again."""

from __future__ import annotations

import io
import json
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from clusterkit import IMAGE, RULES, Namespace, limited_kubeconfig
from proj import record
from proj.images.daemon import connected
from projkit import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from projkit import ProjFolder

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

LINE = "cat /flavour || echo none"


class Moving:
    """A name in a registry that means one image after another."""

    def __init__(self) -> None:
        self.repository = f"127.0.0.1:5000/proj-test/moving-{secrets.token_hex(3)}"
        self.name = f"{self.repository}:now"

    def push(self, flavour: str) -> str:
        """Have the name mean another image; returns its digest."""
        recipe = f"FROM {IMAGE}\nRUN echo {flavour} > /flavour\n".encode()
        with connected() as engine:
            client: Any = engine
            list(client.build(fileobj=io.BytesIO(recipe), tag=self.name, rm=True))
            list(client.push(self.name))
            found: list[str] = client.inspect_image(self.name)["RepoDigests"]
        return next(each for each in found if each.startswith(self.repository)).partition("@")[2]


@pytest.fixture
def moving() -> Iterator[Moving]:
    found = Moving()
    yield found
    with connected() as engine:
        client: Any = engine
        for each in client.images(found.repository):
            client.remove_image(each["Id"], force=True)


def environment(folder: ProjFolder) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(folder.artifact(folder.runs()[0], record.ENVIRONMENT))["image"]
    return found


def test_a_moved_tag_is_told(
    folder: ProjFolder, namespace: Namespace, moving: Moving, tmp_path: Path
) -> None:
    folder.write({
        "MLproject": json.dumps({
            "name": "moved", "entry_points": {"main": {"command": LINE}},
        })
    })  # fmt: skip
    own = limited_kubeconfig(namespace, tmp_path, RULES)
    config = namespace.config(image_pull_policy="Always")
    words = ("run", ".", "--backend", "kubernetes", "-c", config, "--base-image", moving.name)
    digests, runs = [], []
    for flavour in ("plum", "pear"):
        digests.append(moving.push(flavour))
        done = folder.process(*words)
        assert (done.code, done.stdout) == (0, f"{flavour}\n"), done
        made = folder.runs()[0]
        runs.append(made.run_id)
        image = environment(folder)
        assert (image["name"], image["digest"]) == (moving.name, digests[-1])
        assert image["reference"] == f"{moving.repository}@{digests[-1]}"
        assert made.tags[record.TAG_IMAGE] == digests[-1]
        assert digests[-1] in folder.process("show", made.run_id).stdout
    assert digests[0] != digests[1]

    differing = folder.process("diff", *runs)
    assert digests[0][:19] in differing.stdout, differing
    assert "No difference" not in differing.stdout

    again = folder.process("reproduce", runs[0], "--verify", env={"KUBECONFIG": str(own)})
    assert again.code == 0, again
    assert "plum\n" in again.stdout
    assert environment(folder)["digest"] == digests[0]


def test_a_follower_that_takes_over_records_the_image(
    folder: ProjFolder, namespace: Namespace, moving: Moving
) -> None:
    main = {"command": "echo begun; sleep 6; cat /flavour"}
    folder.write({"MLproject": json.dumps({"name": "followed", "entry_points": {"main": main}})})
    digest = moving.push("plum")
    running = folder.start(
        "run", ".", "--backend", "kubernetes", "-c", namespace.config(), "--base-image", moving.name
    )
    eventually(lambda: "begun" in running.stdout)
    running.kill()
    assert folder.process("wait", "latest").code == 0
    assert folder.runs()[0].tags[record.TAG_IMAGE] == digest
    assert environment(folder)["digest"] == digest
