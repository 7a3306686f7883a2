from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from proj.backends.kubernetes import KubernetesBackend
from proj.errors import UsageError
from proj.kube.settings import read_settings
from proj.model import Extensions, ImageRequest, Project

if TYPE_CHECKING:
    from pathlib import Path

    from proj.kube.settings import Settings

CLUSTER = {
    "apiVersion": "v1", "kind": "Config", "current-context": "c",
    "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
}  # fmt: skip
ROOT = {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}
LEAVE = {"allow-host-path": True}


def template(pod: dict[str, Any], name: str = "t") -> dict[str, Any]:
    return {"kind": "Job", "metadata": {"labels": {"of": name}}, "spec": {"template": {"spec": pod}}}


@pytest.fixture(autouse=True)
def _kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kubeconfig").write_text(json.dumps(CLUSTER))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))


def configured(folder: Path, project: dict[str, Any], own: dict[str, Any]) -> Settings:
    """The settings of a run, of the project file's and the user's."""
    found = Project(
        name="p", directory=folder, file=None, extensions=Extensions(kubernetes=json.dumps(project))
    )
    return read_settings(KubernetesBackend().configure(json.dumps(own), found, ImageRequest())[0])


def test_a_project_file_gives_itself_no_folders_of_the_node(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="that is yours") as caught:
        configured(tmp_path, LEAVE, {})
    assert "--allow-host-path" in (caught.value.hint or "")
    with pytest.raises(UsageError, match="that is yours"):
        configured(tmp_path, LEAVE, {"allow-host-path": False, "kube-job-template": template({})})
    assert configured(tmp_path, LEAVE, LEAVE).allow_host_path
    assert configured(tmp_path, {}, LEAVE).allow_host_path
    assert not configured(tmp_path, {"allow-host-path": False}, {}).allow_host_path


@pytest.mark.parametrize(
    ("pod", "says"),
    [
        (ROOT, "hostPath /"),
        ({"hostPID": True, "hostNetwork": True, "hostIPC": True}, "hostPID, hostIPC, hostNetwork"),
        ({"containers": [{"securityContext": {"privileged": True}}]}, "privileged"),
        ({"initContainers": [{"securityContext": {"privileged": True}}]}, "privileged"),
    ],
)
def test_a_template_of_the_project_file_does_not_reach_into_nodes(
    tmp_path: Path, pod: dict[str, Any], says: str
) -> None:
    (tmp_path / "job.yaml").write_text(json.dumps(template(pod)))
    path = {"kube-job-template-path": str(tmp_path / "job.yaml")}
    for project in ({"kube-job-template": template(pod)}, path):
        with pytest.raises(UsageError, match=says):
            configured(tmp_path, project, {})
        assert configured(tmp_path, project, LEAVE).kube_job_template == template(pod)
    assert configured(tmp_path, {}, path).kube_job_template == template(pod)


def test_a_template_of_the_users_stands_for_the_projects(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(json.dumps(template(ROOT)))
    path = {"kube-job-template-path": str(tmp_path / "job.yaml")}
    own = {"kube-job-template": template({}, "own")}
    assert configured(tmp_path, path, own).kube_job_template == template({}, "own")
    assert configured(tmp_path, own, path).kube_job_template == template(ROOT)


def test_a_template_of_any_shape_is_looked_through(tmp_path: Path) -> None:
    for pod in ({"volumes": [{"name": "a", "emptyDir": {}}, None]}, {"containers": None}, {"hostPID": False}):
        assert configured(tmp_path, {"kube-job-template": template(pod)}, {}).kube_job_template is not None
