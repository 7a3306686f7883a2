"""Runs on a real cluster are made again from their records, with the settings that they had."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from clusterkit import IMAGE, Namespace
from proj import images, record

if TYPE_CHECKING:
    from projkit import ProjFolder

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

REGISTRY = "127.0.0.1:5000"
PROJECT = {
    "MLproject": "name: again\npython_env: env.yaml\nentry_points:\n  main: {command: python told.py}\n",
    "env.yaml": 'python: "3.11"\nbuild_dependencies: []\ndependencies: ["six==1.16.0"]\n',
    "told.py": "import os, six\nprint('six', six.__version__, os.environ.get('FLAVOUR'))\n",
}


def options(namespace: Namespace, **settings: object) -> list[str]:
    return ["--backend", "kubernetes", "-c", namespace.config(**settings), "--grace", "1s"]


def recorded(folder: ProjFolder, path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(folder.artifact(folder.runs()[0], path))
    return found


@pytest.fixture
def repository() -> str:
    return f"{REGISTRY}/proj-test/again-{secrets.token_hex(3)}"


@pytest.mark.network
def test_an_image_is_taken_again_by_its_digest(
    folder: ProjFolder, namespace: Namespace, repository: str
) -> None:
    folder.write(PROJECT)
    words = options(
        namespace, repository_uri=repository, base_image=f"{REGISTRY}/{IMAGE}", cpu="100m",
        environment={"FLAVOUR": "plum-never-seen"},
    )  # fmt: skip
    done = folder.process("run", ".", "--delivery", "image", *words)
    assert (done.code, done.stdout) == (0, "six 1.16.0 plum-never-seen\n"), done
    first, image = recorded(folder, record.COMMAND), recorded(folder, record.ENVIRONMENT)["image"]
    settings = {
        "namespace": namespace.name, "dns-policy": "Default", "repository-uri": repository, "cpu": "100m",
        "base-image": f"{REGISTRY}/{IMAGE}", "delivery": "image", "environment": {"FLAVOUR": "***"},
    }  # fmt: skip
    assert first["backend_config"] == settings

    refused = folder.process("reproduce", "latest")
    assert refused.code == 125
    assert "backend: The value of FLAVOUR" in refused.stderr

    folder.write({"told.py": "print('something else')\n", "env.yaml": "python: '3.8'\n"})
    again = folder.process("reproduce", "latest", "--verify", env={"FLAVOUR": "plum-never-seen"})
    assert again.code == 0, again
    assert "six 1.16.0 plum-never-seen\n" in again.stdout
    made = recorded(folder, record.ENVIRONMENT)["image"]
    assert (made["reference"], made["digest"]) == (image["reference"], image["digest"])
    assert "Pushing" not in again.stderr
    assert recorded(folder, record.COMMAND)["backend_config"] == settings


@pytest.mark.network
def test_other_settings_may_be_given(folder: ProjFolder, namespace: Namespace, repository: str) -> None:
    project = f"proj:\n  kubernetes: {{repository-uri: {repository}, memory: 200Mi}}\n"
    folder.write({**PROJECT, "MLproject": PROJECT["MLproject"] + project})
    done = folder.process("run", ".", *options(namespace, base_image=f"{REGISTRY}/{IMAGE}"))
    assert done.code == 0, done
    given = json.dumps({"memory": "300Mi", "repository-uri": f"{repository}-moved"})
    again = folder.process("reproduce", "latest", "-c", given)
    assert (again.code, again.stdout) == (0, "six 1.16.0 None\n"), again
    assert "It is made again" in again.stderr
    image = recorded(folder, record.ENVIRONMENT)["image"]
    assert image["reference"].startswith(f"{repository}-moved@")
    assert images.is_pushed(image["reference"])
    assert recorded(folder, record.COMMAND)["backend_config"]["memory"] == "300Mi"
    second, first = folder.runs()
    rows = folder.process("diff", first.run_id, second.run_id, "--json").json["data"]["rows"]
    differing = [row for row in rows if row["group"] == "backend" and row["status"] == "different"]
    assert [(row["item"], row["left"], row["right"]) for row in differing] == [
        ("memory", "200Mi", "300Mi"), ("repository-uri", repository, f"{repository}-moved")
    ]  # fmt: skip


def test_a_template_is_the_one_that_it_ran_with(folder: ProjFolder, namespace: Namespace) -> None:
    template = """
apiVersion: batch/v1
kind: Job
spec: {template: {spec: {containers: [{name: main, env: [{name: FLAVOUR, value: plum}]}]}}}
"""
    project = {"docker_env": {"image": IMAGE}, "entry_points": {"main": {"command": 'echo "[$FLAVOUR]"'}}}
    folder.write({"MLproject": msgspec.json.encode(project), "job.yaml": template})
    done = folder.process("run", ".", *options(namespace, kube_job_template_path="job.yaml"))
    assert (done.code, done.stdout) == (0, "[plum]\n"), done
    folder.write({"job.yaml": template.replace("plum", "pear")})
    again = folder.process("reproduce", "latest", "--verify")
    assert again.code == 0, again
    assert "[plum]" in again.stdout
