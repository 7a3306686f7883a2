"""Kubeconfigs with an `auth-provider`, by the oldest and the newest of Kubernetes' own Python clients."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from clusterkit import RULES, Namespace, limited_kubeconfig
from proj import process

pytestmark = [pytest.mark.cluster, pytest.mark.network]

ROOT = Path(__file__).parents[2]
ASK = """\
import sys
import kubernetes
from proj.kube.client import Client
from proj.kube.kubeconfig import connection
client = Client(connection())
print(kubernetes.__version__, client.send("GET", sys.argv[1], "list pods")[:20])
"""


@pytest.mark.parametrize("client", ["kubernetes==29.0.0", "kubernetes"], ids=["oldest", "newest"])
def test_a_token_of_an_auth_provider_is_found(client: str, namespace: Namespace, tmp_path: Path) -> None:
    """The provider is that of Google's clusters, which keeps a token until it expires."""
    config = json.loads(limited_kubeconfig(namespace, tmp_path, RULES).read_text())
    token = config["users"][0]["user"]["token"]
    later = dt.datetime.now(dt.timezone.utc) + dt.timedelta(hours=1)
    known = {"access-token": token, "expiry": later.strftime("%Y-%m-%dT%H:%M:%SZ")}
    config["users"][0]["user"] = {"auth-provider": {"name": "gcp", "config": known}}
    (tmp_path / "provider.yaml").write_text(json.dumps(config))
    uv, python = find_uv_bin(), tmp_path / "venv/bin/python"
    process.run([uv, "venv", "-q", "--python", sys.executable, str(tmp_path / "venv")])
    process.run([uv, "pip", "install", "-q", "--python", str(python), client, str(ROOT)])
    done = process.run(
        [str(python), "-c", ASK, namespace.path("pods")], env={"KUBECONFIG": str(tmp_path / "provider.yaml")}
    )
    assert "PodList" in done.stdout, done
    if "==" in client:
        assert done.stdout.startswith(client.partition("==")[2])
