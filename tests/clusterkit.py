"""A namespace of a real Kubernetes cluster, for tests behind the marker `cluster`."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import subprocess  # noqa: TID251  a server that is killed
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from ports import own_port
from proj.errors import ProjError
from proj.kube.client import Client
from proj.kube.kubeconfig import connection, decoded
from proj.kube.objects import Items, Job, Meta, Pod

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = "proj-test/python:3.11-slim"
"""Debian's Python 3.11 with pip, venv and git: `cluster base-image` makes it."""
LIMIT_S = 110.0
_DEFAULT = Path.home() / ".cache" / "proj-test-cluster" / "kubeconfig"
_CONFIGURED = os.environ.get("KUBECONFIG")


class _Named(msgspec.Struct, frozen=True):
    metadata: Meta


class Namespace:
    """A namespace of its own in the cluster.

    Args:
        client: To the API server, as an administrator.
        name: The namespace's.
    """

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name

    def config(self, **settings: object) -> str:
        """Settings of the backend for this namespace, as JSON."""
        # The cluster has no name service: the node's is used.
        found = {"namespace": self.name, "dns-policy": "Default", **settings}
        return msgspec.json.encode({name.replace("_", "-"): value for name, value in found.items()}).decode()

    def create(self, kind: str, manifest: dict[str, Any]) -> None:
        """Create an object; `kind` is its path, such as `/api/v1/{}/secrets`."""
        self.client.send("POST", self.path(kind), f"create {kind}", body=manifest)

    def path(self, kind: str) -> str:
        """The path of a kind of object: `jobs`, `pods`, `secrets`, `rbac.authorization.k8s.io/v1/roles` …"""
        group, _, plural = kind.rpartition("/")
        if not group and plural == "jobs":
            group = "batch/v1"
        base = f"/apis/{group}" if group else "/api/v1"
        return f"{base}/namespaces/{self.name}/{plural}"

    def names(self, kind: str, selector: str = "") -> list[str]:
        """Names of the objects of a kind, by label."""
        query = {"labelSelector": selector} if selector else {}
        found = self.client.get(self.path(kind), Items[_Named], f"list {kind}", **query)
        return sorted(item.metadata.name for item in found.items or ())

    def text(self, kind: str) -> str:
        """All that the API server says of the objects of a kind."""
        return self.client.send("GET", self.path(kind), f"list {kind}").decode()

    def jobs(self) -> tuple[Job, ...]:
        """All Jobs."""
        return self.client.get(self.path("jobs"), Items[Job], "list Jobs").items or ()

    def pods(self, selector: str = "") -> tuple[Pod, ...]:
        """All pods, by label."""
        query = {"labelSelector": selector} if selector else {}
        return self.client.get(self.path("pods"), Items[Pod], "list pods", **query).items or ()

    def until_gone(self, run_id: str) -> None:
        """Wait until nothing of a run is there any more."""
        end_s = time.monotonic() + LIMIT_S
        while True:
            left = {kind: self.names(kind, f"proj/run-id={run_id}") for kind in ("jobs", "pods", "secrets")}
            if not any(left.values()):
                return
            assert time.monotonic() < end_s, f"left over: {left}"
            time.sleep(0.2)


@pytest.fixture(scope="session")
def _cluster_namespace(worker_id: str) -> Iterator[Namespace]:
    path = _CONFIGURED or str(_DEFAULT)
    if not Path(path.partition(os.pathsep)[0]).exists():
        pytest.skip(f"no kubeconfig at {path}")
    before = os.environ.get("KUBECONFIG")
    os.environ["KUBECONFIG"] = path
    try:
        client = Client(connection())
    finally:
        os.environ.pop("KUBECONFIG")
        if before is not None:
            os.environ["KUBECONFIG"] = before
    name = f"proj-test-{worker_id}-{secrets.token_hex(3)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    client.send("POST", "/api/v1/namespaces", f"create the namespace {name}", body=body)
    namespace = Namespace(client, name)
    _await_service_account(namespace)
    yield namespace
    client.send("DELETE", f"/api/v1/namespaces/{name}", f"delete the namespace {name}")
    client.close()


@pytest.fixture
def namespace(_cluster_namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> Namespace:
    """A namespace of a real cluster, whose kubeconfig is the current one."""
    monkeypatch.setenv("KUBECONFIG", _CONFIGURED or str(_DEFAULT))
    return _cluster_namespace


@pytest.fixture
def claim(namespace: Namespace, tmp_path: Path) -> Iterator[str]:
    """A volume that outlives pods: a folder of the node, which is this machine."""
    folder, name = tmp_path / "volume", f"proj-test-{secrets.token_hex(4)}"
    folder.mkdir()
    folder.chmod(0o777)
    size = {"storage": "1Gi"}
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    volume = {
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
        "spec": {**common, "capacity": size, "hostPath": {"path": str(folder)}},
    }  # fmt: skip
    namespace.client.send("POST", "/api/v1/persistentvolumes", "create a volume", body=volume)
    spec = {**common, "resources": {"requests": size}, "volumeName": name}
    claimed = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}
    namespace.create("persistentvolumeclaims", claimed)
    yield name
    namespace.client.send("DELETE", namespace.path("persistentvolumeclaims") + f"/{name}", "delete the claim")
    namespace.client.send("DELETE", f"/api/v1/persistentvolumes/{name}", "delete the volume")


def _await_service_account(namespace: Namespace) -> None:
    """Pods are refused until the namespace has its default account."""
    end_s = time.monotonic() + LIMIT_S
    while "default" not in namespace.names("serviceaccounts"):
        assert time.monotonic() < end_s
        time.sleep(0.1)


def limited_kubeconfig(namespace: Namespace, tmp_path: Path, rules: list[dict[str, Any]]) -> Path:
    """A kubeconfig of a service account that may do what `rules` say, in the namespace."""
    name = f"limited-{os.urandom(3).hex()}"
    meta = {"name": name}
    namespace.create("serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    group = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": meta, "rules": rules}
    namespace.create(f"{group}/v1/roles", role)
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace.name}
    binding = {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": meta, "subjects": [subject],
               "roleRef": {"apiGroup": group, "kind": "Role", "name": name}}  # fmt: skip
    namespace.create(f"{group}/v1/rolebindings", binding)
    return _kubeconfig(namespace, _token(namespace, name), tmp_path / "limited.yaml")


def _token(namespace: Namespace, account: str) -> str:
    """The token that the cluster makes for a service account."""
    end_s = time.monotonic() + LIMIT_S
    while time.monotonic() < end_s:
        listed = msgspec.json.decode(namespace.text("secrets"))
        for item in listed["items"]:
            owner = item["metadata"].get("annotations", {}).get("kubernetes.io/service-account.name")
            if owner == account and "token" in item.get("data", {}):
                return base64.b64decode(item["data"]["token"]).decode()
        time.sleep(0.2)
    raise AssertionError("no token")


def _kubeconfig(namespace: Namespace, token: str, path: Path) -> Path:
    cluster = namespace.client.connection.cluster
    authority = decoded(cluster.certificate_authority_data or "", "the authority")
    content = {
        "apiVersion": "v1", "kind": "Config", "current-context": "limited",
        "clusters": [{"name": "c", "cluster": {
            "server": cluster.server, "certificate-authority-data": base64.b64encode(authority).decode(),
        }}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "limited",
                      "context": {"cluster": "c", "user": "u", "namespace": namespace.name}}],
    }  # fmt: skip
    path.write_bytes(msgspec.json.encode(content))
    return path


RULES = [
    {"apiGroups": ["batch"], "resources": ["jobs"],
     "verbs": ["create", "get", "list", "watch", "patch", "delete"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch", "delete"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list", "watch"]},
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "patch", "delete"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "delete"]},
]  # fmt: skip
"""What docs/how-to/kubernetes.md says is enough."""


class ApiServer:
    """A second API server of the test cluster, over the same data, which can be killed and started again.

    Args:
        argv: Of the cluster's own, which runs on this machine.
        folder: For its log.
    """

    def __init__(self, argv: list[str], folder: Path) -> None:
        port = own_port()
        kept = [word for word in argv if not word.startswith("--secure-port=")]
        self._argv = [*kept, f"--secure-port={port}", "--endpoint-reconciler-type=none"]
        self._log = folder / "apiserver.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"https://127.0.0.1:{port}"

    def start(self) -> None:
        """Start it; it answers some seconds later."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        """End it at once, with all connections."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def await_ready(self) -> None:
        """Wait until it answers, by the current kubeconfig."""
        client = Client(connection())
        end_s = time.monotonic() + LIMIT_S
        while not _is_ready(client):
            assert time.monotonic() < end_s, self._log.read_text()[-2000:]
            time.sleep(0.2)


def _is_ready(client: Client) -> bool:
    try:
        client.send("GET", "/readyz", "ask whether it is ready", tries=1)
    except ProjError:
        return False
    return True


@pytest.fixture
def api_server(namespace: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """An API server for a test alone; the current kubeconfig names it."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            argv = (process / "cmdline").read_bytes().decode().split("\0")[:-1]
            if argv and argv[0].endswith("/kube-apiserver"):
                break
    else:
        pytest.skip("the cluster's API server does not run on this machine")
    found = ApiServer(argv, tmp_path)
    own = Path(os.environ["KUBECONFIG"]).read_text()
    config = tmp_path / "second.yaml"
    config.write_text(own.replace(namespace.client.server, found.url))
    monkeypatch.setenv("KUBECONFIG", str(config))
    found.start()
    try:
        found.await_ready()
        yield found
    finally:
        found.kill()
