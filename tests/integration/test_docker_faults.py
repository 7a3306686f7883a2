"""Containers whose client died, whose processes are others' too, whose output is no text: the real engine."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess  # noqa: TID251  runs proj as a person does
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from proj import active, paths
from proj.backends.docker import DockerBackend
from proj.backends.docker.container import body_of
from proj.errors import BackendError
from proj.model import ImageRuntime, NewRun, RunStatus
from proj.recovery import recover
from proj.testing.backends import Waiter, await_output, execution_maker, stored
from proj.tracking.local import open_tracking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from proj.images.engine import Engine
    from proj.model import Execution

    Make = Callable[..., Execution]

pytestmark = pytest.mark.docker


@pytest.fixture
def make(tmp_path: Path, shell_image: str) -> Make:
    maker = execution_maker(tmp_path, runtime=ImageRuntime(image=shell_image), cwd="/")
    return lambda line, **changes: maker(
        line, **{"run_id": os.urandom(16).hex(), "grace_s": 1.0, "quiet": True, **changes}
    )


def _described(engine: Engine, container: str) -> dict[str, object]:
    state: dict[str, object] = engine.ask("GET", f"/containers/{container}/json")["State"]
    return state


def _done(handle: object) -> None:
    forget = getattr(handle, "forget", None)
    assert forget is not None
    forget()


def test_output_that_is_no_text_is_gone_on_with_where_it_was_left(make: Make, tmp_path: Path) -> None:
    run = make(r"printf '\377\377\377'; sleep 3; printf END")
    first = DockerBackend().submit(run)
    folder = tmp_path / "stored"
    folder.mkdir()
    (folder / "stdout.log").write_bytes(b"\xff\xff\xff")  # by the client that died
    second = DockerBackend().attach(msgspec.structs.replace(run, record_dir=str(folder)), first.reference)
    assert second is not None
    assert second.wait().status is RunStatus.FINISHED
    assert (folder / "stdout.log").read_bytes() == b"\xff\xff\xffEND"
    first.wait()
    _done(second)


def test_a_container_is_found_by_what_was_known_before_it_was_made(make: Make) -> None:
    backend = DockerBackend()
    run = make("echo begun; sleep 60")
    foretold = backend.foretell(run)
    assert backend.attach(run, foretold) is None
    handle = backend.submit(run)
    found = backend.attach(run, foretold)
    assert found is not None
    assert found.reference == handle.reference
    handle.cancel()
    handle.wait()
    _done(handle)


def test_a_container_that_never_was_started_is_removed(make: Make, engine: Engine) -> None:
    run = make("true")
    assert isinstance(run.runtime, ImageRuntime)
    made = engine.ask("POST", "/containers/create", body=body_of(run, run.runtime))
    backend = DockerBackend()
    assert backend.attach(run, backend.foretell(run)) is None
    label = msgspec.json.encode({"label": [f"proj.run={run.run_id}"]}).decode()
    assert engine.ask("GET", "/containers/json", {"all": "1", "filters": label}) == [], made


def test_cancelling_leaves_processes_of_others_alone(make: Make, engine: Engine) -> None:
    """With `-A pid=host` they would be those of the whole machine."""
    other_run = make("echo begun; sleep 60")
    other = DockerBackend().submit(other_run)
    waiter = Waiter(other)
    await_output(other_run, b"begun")
    joined = make("echo begun; sleep 60", docker_args=(("pid", f"container:{other.reference}"),))
    handle = DockerBackend().submit(joined)
    handle.cancel()
    assert handle.wait().status is RunStatus.KILLED
    assert _described(engine, other.reference)["Running"] is True
    other.cancel()
    waiter.outcome()
    _done(handle)
    _done(other)
    assert stored(other_run) == b"begun\n"


def test_an_engine_that_is_away_does_not_make_a_run_lost(
    make: Make, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    """Its container goes on: what becomes of it is told by the next command that can ask."""
    with open_tracking(paths.home()) as tracking:
        experiment = tracking.runs.create_experiment("e").experiment_id
        created = tracking.runs.create_run(NewRun(experiment_id=experiment, run_name="r", started_ms=1))
        tracking.runs.update_run(created.run_id, status=RunStatus.RUNNING)
        folder = tracking.workspace(created) / "proj"
        folder.mkdir(parents=True)
        run = make("sleep 1; exit 6", run_id=created.run_id, record_dir=str(folder))
        handle = DockerBackend().submit(run)
        claim = active.Claim.create(paths.home(), tracking.uri)
        claim.update(run_id=created.run_id, backend="docker", reference=handle.reference)
        claim.hand_over()  # as if its process had been killed
        with monkeypatch.context() as patch:
            patch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
            assert recover(tracking, paths.home()) == ()
            assert tracking.runs.run(created.run_id).status is RunStatus.RUNNING
            with pytest.raises(BackendError, match=r"/nowhere/docker\.sock"):
                DockerBackend().attach(run, handle.reference)
        while _described(engine, handle.reference)["Running"]:
            time.sleep(0.05)
        assert recover(tracking, paths.home()) == (created.run_id,)
        ended = tracking.runs.run(created.run_id)
        assert (ended.status, ended.tags["proj.exit_code"]) == (RunStatus.FAILED, "6")


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The engine by an address that is none of loopback: as one on another machine."""
    with socket.create_server(("172.17.0.1", 0)) as listener:
        stopped = threading.Event()
        listener.settimeout(0.1)

        def serve() -> None:
            while not stopped.is_set():
                with contextlib.suppress(TimeoutError):
                    client, _ = listener.accept()
                    threading.Thread(target=_relay, args=(client,), daemon=True).start()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"tcp://172.17.0.1:{listener.getsockname()[1]}"
        stopped.set()
        thread.join()


def _relay(client: socket.socket) -> None:
    with client, socket.socket(socket.AF_UNIX) as upstream:
        upstream.connect("/var/run/docker.sock")
        back = threading.Thread(target=_copy, args=(upstream, client), daemon=True)
        back.start()
        _copy(client, upstream)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


_LOGS_A_METRIC = """
host=${MLFLOW_TRACKING_URI#http://}
body='{"run_id":"'$MLFLOW_RUN_ID'","key":"m","value":4,"timestamp":1,"step":0}'
exec 3<>/dev/tcp/${host%:*}/${host#*:}
printf 'POST /api/2.0/mlflow/runs/log-metric HTTP/1.0\\r\\nContent-Type: application/json\\r\\n' >&3
printf 'Content-Length: %s\\r\\n' ${#body} >&3
printf 'Authorization: Bearer %s\\r\\n\\r\\n%s' "$MLFLOW_TRACKING_TOKEN" "$body" >&3
cat <&3; echo
echo "artifacts: ${PROJ_ARTIFACTS-none}"
"""


def test_an_engine_elsewhere_gets_the_code_in_the_image_and_logs_to_the_server(
    elsewhere: str, tmp_path: Path, shell_image: str
) -> None:
    proj = str(Path(sys.executable).with_name("proj"))
    served = {**os.environ, "PROJ_HOME": str(tmp_path / "served")}
    server = subprocess.Popen(
        [proj, "server", "--host", "172.17.0.1", "--port", "0", "--insecure", "--no-access-log"],
        env=served, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        address = None
        while address is None:
            line = server.stdout.readline()
            assert line, "the server does not start"
            address = re.search(r"http://172\.17\.0\.1:\d+", line)
        project = tmp_path / "p"
        project.mkdir()
        (project / "log.sh").write_text(_LOGS_A_METRIC)
        (project / "MLproject").write_text(
            f"docker_env: {{image: '{shell_image}'}}\nentry_points: {{main: {{command: bash log.sh}}}}\n"
        )
        env = {**os.environ, "DOCKER_HOST": elsewhere, "PROJ_TRACKING_URI": address[0]}
        done = subprocess.run(
            [proj, "run", "."], cwd=project, env=env, capture_output=True, text=True, check=False
        )
        assert "does not see the project's folder" in done.stderr
        assert "--build-image" in done.stderr
        done = subprocess.run(
            [proj, "run", ".", "--build-image"],
            cwd=project,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "200 OK" in done.stdout, done.stdout
        assert "artifacts: none" in done.stdout
        shown = subprocess.run(
            [proj, "show", "latest", "--json"], env=env, capture_output=True, text=True, check=True
        )
        assert '"m"' in shown.stdout
    finally:
        server.terminate()
        server.communicate()
