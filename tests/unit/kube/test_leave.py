from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import msgspec
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
APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
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
        (
            {"containers": [{"ports": [{"containerPort": 1}, {"containerPort": 80, "hostPort": 80}]}]},
            "hostPort 80",
        ),
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
    for metadata in (None, {"annotations": None}, {"annotations": {"a": 1}}):
        job = {"kind": "Job", "spec": {"template": {"metadata": metadata}, "selector": None}}
        assert configured(tmp_path, {"kube-job-template": job}, {}).kube_job_template is not None


TAKEN: list[tuple[str, Any]] = [
    ("secrets-from", ["s3"]), ("service-account", "admin"), ("cache-claim", "data"), ("security", "image"),
    ("run-as-user", 0), ("volumes", [{"path": "/x", "secret": "s3"}]),
    ("volumes", [{"path": "/y", "empty-dir": True}, {"path": "/x", "claim": "data"}]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), TAKEN)
def test_a_project_file_takes_nothing_of_the_namespace(tmp_path: Path, name: str, value: object) -> None:
    with pytest.raises(UsageError, match="that is yours to allow") as caught:
        configured(tmp_path, {name: value}, {})
    assert (name.rstrip("s") in caught.value.message, "--allow-privileges" in (caught.value.hint or "")) == (
        True, True
    )  # fmt: skip
    with pytest.raises(UsageError, match="that is yours to allow"):
        configured(tmp_path, {name: value}, LEAVE)
    with pytest.raises(UsageError, match="sets allow-privileges"):
        configured(tmp_path, {name: value, "allow-privileges": True}, {})
    allowed = configured(tmp_path, {name: value}, {"allow-privileges": True})
    assert allowed == msgspec.structs.replace(configured(tmp_path, {}, {name: value}), allow_privileges=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("run-as-user", 1000), ("security", "restricted"), ("secrets-from", []),
     ("volumes", [{"path": "/x", "config-map": "c"}]), ("image-pull-secrets", ["pull"]),
     ("annotations", {"note": "unconfined", f"{APPARMOR}p": "runtime/default"}), ("labels", {"a": "b"}),
     ("priority-class", "high"), ("namespace", "team")],
)  # fmt: skip
def test_what_takes_nothing_needs_no_leave(tmp_path: Path, name: str, value: object) -> None:
    configured(tmp_path, {name: value}, {})


def test_what_the_user_says_stands_for_what_the_project_asks(tmp_path: Path) -> None:
    own = {"service-account": "mine", "security": "restricted", "volumes": []}
    theirs = {"service-account": "admin", "security": "image", "volumes": [{"path": "/x", "secret": "s"}]}
    assert configured(tmp_path, theirs, own).service_account == "mine"
    with pytest.raises(UsageError, match="run-as-user: 0"):
        configured(tmp_path, {**theirs, "run-as-user": 0}, own)


SECRET = {"secret": {"name": "s"}}
REFERENCE = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}
ADDED = {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}
DROPPED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


@pytest.mark.parametrize(
    ("pod", "says"),
    [
        ({"serviceAccountName": "admin"}, "serviceAccountName"),
        ({"automountServiceAccountToken": True}, "automountServiceAccountToken"),
        ({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}, "volume secret"),
        ({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}, "persistentVolumeClaim"),
        ({"volumes": [{"name": "v", "nfs": {"server": "n", "path": "/"}}]}, "volume nfs"),
        ({"volumes": [{"name": "v", "projected": {"sources": [SECRET]}}]}, "volume secret"),
        ({"securityContext": {"runAsUser": 0}}, "runAsUser: 0"),
        ({"containers": [{"securityContext": {"runAsUser": 0}}]}, "runAsUser: 0"),
        ({"securityContext": {"runAsGroup": 0}}, "runAsGroup: 0"),
        ({"containers": [{"securityContext": {"runAsGroup": 0}}]}, "runAsGroup: 0"),
        ({"securityContext": {"fsGroup": 0}}, "fsGroup: 0"),
        ({"securityContext": {"supplementalGroups": [5, 0]}}, "supplementalGroups: 0"),
        ({"securityContext": {"runAsNonRoot": False}}, "runAsNonRoot: false"),
        ({"containers": [{"securityContext": {"runAsNonRoot": False}}]}, "runAsNonRoot: false"),
        ({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}, "seccompProfile"),
        ({"containers": [{"envFrom": [{"secretRef": {"name": "s"}}]}]}, "secretRef"),
        ({"containers": [{"env": [REFERENCE]}]}, "secretKeyRef"),
        ({"containers": [{"securityContext": {"allowPrivilegeEscalation": True}}]}, "allowPrivilege"),
        ({"containers": [{"securityContext": {"capabilities": {}}}]}, "capabilities"),
        ({"containers": [{"securityContext": ADDED}]}, "capabilities"),
        ({"containers": [{"name": "main"}, {"name": "side"}]}, "the container side"),
        ({"initContainers": [{"name": "first"}]}, "the container first"),
    ],
)  # fmt: skip
def test_a_template_of_the_project_file_takes_nothing_of_the_namespace(
    tmp_path: Path, pod: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        configured(tmp_path, {"kube-job-template": template(pod)}, {})
    assert "--allow-privileges" in (caught.value.hint or "")
    for own in ({"allow-privileges": True}, {"kube-job-template": template(pod)}):
        configured(tmp_path, {"kube-job-template": template(pod)}, own)


UNCONFINED = [
    f"{APPARMOR}p",
    "container.seccomp.security.alpha.kubernetes.io/p",
    "seccomp.security.alpha.kubernetes.io/pod",
]


@pytest.mark.parametrize("name", UNCONFINED)
def test_annotations_take_no_profile_away(tmp_path: Path, name: str) -> None:
    annotations = {"annotations": {name: "unconfined"}}
    of_template = {"kind": "Job", "spec": {"template": {"metadata": annotations, "spec": {}}}}
    for project in (annotations, {"kube-job-template": of_template}):
        with pytest.raises(UsageError, match=f"{re.escape(name)}: unconfined") as caught:
            configured(tmp_path, project, {})
        assert "--allow-privileges" in (caught.value.hint or "")
        for own in ({"allow-privileges": True}, project):
            configured(tmp_path, project, own)


@pytest.mark.parametrize(
    ("name", "value"), [("manualSelector", True), ("selector", {"matchLabels": {"a": "b"}})]
)
def test_a_template_of_the_project_file_takes_no_pods_of_others(
    tmp_path: Path, name: str, value: object
) -> None:
    project = {"kube-job-template": {"kind": "Job", "spec": {name: value}}}
    with pytest.raises(UsageError, match=f"{name}.*that is yours to allow") as caught:
        configured(tmp_path, project, {})
    assert "--allow-privileges" in (caught.value.hint or "")
    for own in ({"allow-privileges": True}, project):
        configured(tmp_path, project, own)


def test_a_template_that_takes_nothing_needs_no_leave(tmp_path: Path) -> None:
    pod = {
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "m", "configMap": {"name": "c"}}],
        "containers": [
            {"name": "main", "env": [{"name": "A", "value": "b"}], "securityContext": DROPPED,
             "ports": [{"containerPort": 80, "hostPort": None}]},
            {"name": "side", "securityContext": DROPPED},
        ],
        "initContainers": [{"name": "first", "securityContext": DROPPED}],
        "securityContext": {
            "runAsUser": 1001, "runAsNonRoot": True, "runAsGroup": 5, "supplementalGroups": [5],
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "serviceAccountName": None, "nodeSelector": {"a": "b"}, "imagePullSecrets": [{"name": "pull"}],
    }  # fmt: skip
    configured(tmp_path, {"kube-job-template": template(pod)}, {})
