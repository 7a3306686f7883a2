"""Conda environments that pods make: what they are told, and how they link."""

from __future__ import annotations

import hashlib
import http.server
import os
import re
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from environment_kit import with_wheels
from loopback import LoopbackServer
from proj.environments.recipe import RecipeEnvironment
from proj.errors import EnvironmentFailedError
from proj.model import RecipeRuntime
from proj.process import run

if TYPE_CHECKING:
    from conda_kit import ChannelServer
    from environment_kit import RequestMaker
    from proj.process import Completed
    from unit.environments.conda.conftest import CondaProjectMaker


def test_a_recipe_of_conda_packages(
    conda_project: CondaProjectMaker,
    request_for: RequestMaker,
    served: ChannelServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("UV_OFFLINE")
    folder = conda_project("python=3.9")
    tail = with_wheels(folder, ("tiny", "1.0")) + "variables: {GREETING: hello}\n"
    head = f"channels: [{served.url}, nodefaults]\n"
    folder = conda_project("python=3.9", "alpha<2", "tool", head=head, tail=tail)
    request = request_for(folder, target="cluster")
    environment = RecipeEnvironment()
    assert not environment.plan(request).built
    prepared = environment.prepare(request)
    assert environment.plan(request).built
    assert environment.plan(request).lock_digest == prepared.lock_digest
    runtime = prepared.runtime
    assert isinstance(runtime, RecipeRuntime)
    assert runtime.image == "python:3.12-slim"
    listed = (runtime.conda or b"").decode()
    assert "@EXPLICIT" in listed
    url = re.escape(f"{served.url}/noarch/alpha-1.0-py_0.conda")
    assert re.search(rf"(?m)^{url}#sha256:[0-9a-f]{{64}}$", listed)
    assert "# |" not in listed
    assert b'name = "tiny"' in (runtime.lock or b"")
    assert re.fullmatch(r"py-rattler==\d.*", runtime.tool or "")
    assert runtime.variables == {"GREETING": "hello"}
    facts = environment.facts(prepared)
    assert facts.python_version == "3.9.18"
    assert {"alpha", "tiny", "tool", "python", "pip"} <= {package.name for package in facts.packages}


def test_a_pod_has_no_folder_of_this_machine(
    conda_project: CondaProjectMaker, request_for: RequestMaker
) -> None:
    request = request_for(conda_project("tool"), target="cluster")
    with pytest.raises(EnvironmentFailedError, match="which a pod does not have") as caught:
        RecipeEnvironment().prepare(request)
    assert "--delivery image" in (caught.value.hint or "")


def test_a_pod_cannot_log_in(
    conda_project: CondaProjectMaker, request_for: RequestMaker, secret_channel: str
) -> None:
    folder = conda_project("tool", head=secret_channel)
    with pytest.raises(EnvironmentFailedError, match="a login, which a pod does not have") as caught:
        RecipeEnvironment().prepare(request_for(folder, target="cluster"))
    assert "5ecret" not in caught.value.message


def test_a_pod_goes_to_the_mirrors(
    conda_project: CondaProjectMaker,
    request_for: RequestMaker,
    served: ChannelServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("UV_OFFLINE")
    url = "https://conda.example.org/team"
    Path(os.environ["CONDARC"]).write_text(f"mirrored_channels: {{'{url}': ['{served.url}']}}\n")
    folder = conda_project("tool", head=f"channels: ['{url}', nodefaults]\n")
    prepared = RecipeEnvironment().prepare(request_for(folder, target="cluster"))
    assert isinstance(prepared.runtime, RecipeRuntime)
    listed = (prepared.runtime.conda or b"").decode()
    assert f"{served.url}/linux-64/tool-1.0-0.tar.bz2#sha256:" in listed
    assert url not in listed
    assert f"{url}/linux-64/tool-1.0-0.tar.bz2#sha256:" in (prepared.lock or b"").decode()


def link(packages: list[str], prefix: Path, work: Path, tries: int = 1) -> Completed:
    """Link packages as a pod does."""
    listed = work / "conda.txt"
    listed.write_text("@EXPLICIT\n" + "\n".join(packages) + "\n")
    script = resources.files("proj.kube.inpod").joinpath("link.py")
    start = (
        f"import runpy, sys; sys.argv[:1] = []; names = runpy.run_path({str(script)!r});"
        f"names['main'].__globals__['TRIES'] = {tries}; names['main'](*sys.argv)"
    )
    return run([sys.executable, "-c", start, str(listed), str(prefix), str(work)], check=False)


@pytest.mark.parametrize("times", [1, 99])
def test_a_download_that_breaks_off(channel: Path, tmp_path: Path, times: int) -> None:
    """It is tried again, and is not taken for another package."""
    content = (channel / "linux-64" / "tool-1.0-0.tar.bz2").read_bytes()
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content if len(asked) > times else content[:100])

        def log_message(self, *_: object) -> None:
            pass

    server = LoopbackServer(Handler)
    try:
        url = f"http://{server.address}/linux-64/tool-1.0-0.tar.bz2"
        line = f"{url}#sha256:{hashlib.sha256(content).hexdigest()}"
        done = link([line], tmp_path / "prefix", tmp_path, tries=2)
    finally:
        server.close()
    assert len(asked) == 2
    if times == 1:
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "prefix" / "bin" / "tool").is_file()
    else:
        assert f"cannot be had: 100 bytes came of {len(content)}" in done.stderr


def test_linking_as_in_a_pod(channel: Path, tmp_path: Path) -> None:
    url = f"{channel.as_uri()}/linux-64/tool-1.0-0.tar.bz2"
    digest = hashlib.sha256((channel / "linux-64" / "tool-1.0-0.tar.bz2").read_bytes()).hexdigest()
    prefix = tmp_path / "prefix"
    assert link([f"{url}#sha256:{digest}"], prefix, tmp_path).returncode == 0
    assert (prefix / "bin" / "tool").read_text() == f"#!/bin/sh\necho {prefix}\n"
    other = link([f"{url}#sha256:{digest[::-1]}"], tmp_path / "other", tmp_path)
    assert other.returncode != 0
    assert "is not the package that is locked" in other.stderr
    assert "the list has no digest of it" in link([url], tmp_path / "other", tmp_path).stderr
    assert not (tmp_path / "other").exists()
