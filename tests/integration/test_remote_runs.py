"""Runs that are recorded on a server, ours and mlflow's own; the servers are killed, and come back."""

from __future__ import annotations

import shutil
import subprocess  # noqa: TID251  a program that calls proj, as users write it
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clients import NEWEST, QUIET
from projkit import PROJ, ProjFolder, Result, Started, echo_project, eventually
from remote_server import RestartableServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.timeout(600)

PROLOGUE = """
import json, os, sys, time, urllib.request
from pathlib import Path

def send(method, path, body=None, kind="application/json"):
    headers = {"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"], "Content-Type": kind}
    url = os.environ["MLFLOW_TRACKING_URI"] + path
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method)) as answer:
        return answer.read()

def call(path, **fields):
    body = json.dumps(fields).encode() if fields else None
    return json.loads(send("POST" if fields else "GET", "/api/2.0/mlflow/" + path, body))

def metrics(*steps):
    for step in steps:
        call("runs/log-metric", run_id=run_id, key="loss", value=step / 2, timestamp=1, step=step)

def upload(name, content):
    place = call("runs/get?run_id=" + run_id)["run"]["info"]["artifact_uri"].partition(":")[2].strip("/")
    send("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{place}/{name}", content, "application/octet-stream")

def meet(name):
    Path(name).touch()
    while not Path(name + ".go").exists():
        time.sleep(0.02)

run_id = os.environ["MLFLOW_RUN_ID"]
"""
"""What the scripts begin with: a client of their own."""

LOGGING = """
metrics(*range(5))
call("runs/log-parameter", run_id=run_id, key="alpha", value="0.5")
call("runs/log-parameter", run_id=run_id, key="beta", value="1")
meet("half")
metrics(*range(5, 10))
call("runs/set-tag", run_id=run_id, key="team", value="red")
call("runs/set-tag", run_id=run_id, key="team", value="blue")
upload("model/weights.bin", b"w" * 3_000_000)
Path(os.environ["PROJ_ARTIFACTS"], "own.txt").write_text("made in the folder")
print("the last line")
"""


@pytest.fixture(params=["proj", pytest.param("mlflow", marks=pytest.mark.clients)])
def server(
    request: pytest.FixtureRequest, tmp_path: Path, client: Callable[[str], Path]
) -> Iterator[RestartableServer]:
    """A server that can be killed and started again."""
    python = client(NEWEST) if request.param == "mlflow" else None
    made = RestartableServer(tmp_path / "server", request.param, python)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def remote(folder: ProjFolder, server: RestartableServer, monkeypatch: pytest.MonkeyPatch) -> ProjFolder:
    """A project whose runs are recorded on the server."""
    monkeypatch.setenv("PROJ_TRACKING_URI", server.url)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    return folder


def script(folder: ProjFolder, body: str) -> None:
    command = f"{sys.executable} main.py {{alpha}}"
    project = echo_project(command).replace(
        "    command:", '    parameters: {alpha: {type: float, default: "0.50"}}\n    command:'
    )
    folder.write({"MLproject": project, "main.py": PROLOGUE + body})


def begin(folder: ProjFolder, *options: str) -> Started:
    """Start a run, and wait until its script has come to `half`."""
    started = folder.start("run", ".", *options)
    eventually(lambda: (folder.path / "half").exists() or started.process.poll() is not None)
    assert started.process.poll() is None, started.stderr
    return started


def go_on(folder: ProjFolder) -> None:
    (folder.path / "half.go").touch()


def tags_of(run: Any) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["data"]["tags"]}


def check_everything_is_there_once(
    folder: ProjFolder, server: RestartableServer, size_bytes: int = 3_000_000
) -> None:
    """See that all that `LOGGING` logs, and all that proj records, is on the server."""
    run = server.the_run()
    run_id = run["info"]["run_id"]
    assert run["info"]["status"] == "FINISHED"
    assert int(run["info"]["end_time"]) >= int(run["info"]["start_time"])
    assert server.history(run_id, "loss") == [(step, step / 2) for step in range(10)]
    assert {param["key"]: param["value"] for param in run["data"]["params"]} == {"alpha": "0.50", "beta": "1"}
    assert tags_of(run)["team"] == "blue"
    assert tags_of(run)["proj.exit_code"] == "0"
    listed = folder.process("artifacts", "ls", "latest", "-r", "--json").json["data"]["artifacts"]
    sizes = {entry["path"]: entry["size_bytes"] for entry in listed}
    assert sizes["model/weights.bin"] == size_bytes
    assert {"own.txt", "proj/command.json", "proj/host.json", "proj/outcome.json"} <= sizes.keys()
    assert folder.process("logs", "latest").stdout == "the last line\n"
    check_nothing_is_left(folder)


def check_nothing_is_left(folder: ProjFolder) -> None:
    folder.clean()
    assert list((folder.home / "workspaces").iterdir()) == []
    assert [path for path in (folder.home / "journal").rglob("*") if path.parent.name != "journal"] == []
    assert not (folder.home / "journal" / "waiting").exists()
    assert not (folder.home / "proj.db").exists()


# --- the server is there ------------------------------------------------------------------------------


def test_a_run_is_recorded_on_the_server(remote: ProjFolder, server: RestartableServer) -> None:
    script(remote, LOGGING)
    (remote.path / "half.go").touch()
    done = remote.process("run", ".")
    assert done.code == 0, done
    check_everything_is_there_once(remote, server)
    run_id = server.the_run()["info"]["run_id"]
    assert remote.process("runs").stdout.splitlines()[1].startswith(run_id[:8])
    shown = remote.process("show", "latest", "--json").json["data"]
    assert shown["command"]["parameters"][0]["given"] == "0.50"
    assert shown["outcome"]["outcome"]["exit_code"] == 0
    got = remote.process("artifacts", "get", "latest", "own.txt", "-o", str(remote.base / "got"))
    assert got.code == 0, got
    assert (remote.base / "got" / "own.txt").read_text() == "made in the folder"
    assert remote.process("wait", run_id[:8]).code == 0
    assert remote.process("cancel", run_id[:8]).stdout == f"{run_id} had ended already\n"
    assert remote.process("rm", run_id[:8]).code == 0
    assert "No runs" in remote.process("runs").stderr
    assert remote.process("restore", run_id[:8]).code == 0
    assert remote.process("runs", "--json").json["data"]["runs"][0]["run_id"] == run_id


def test_how_a_program_ends_is_how_its_run_ends(remote: ProjFolder, server: RestartableServer) -> None:
    body = 'call("runs/update", run_id=run_id, status="FINISHED", end_time=1)\n'
    body += 'assert call("runs/get?run_id=" + run_id)["run"]["info"]["status"] == "FINISHED"\n'
    body += 'call("runs/create", experiment_id="0", run_name="forgotten")\nsys.exit(3)'
    script(remote, body)
    assert remote.process("run", ".").code == 3
    own, forgotten = sorted(server.runs(), key=lambda run: "proj.owner" in tags_of(run))
    assert own["info"]["status"] == "FAILED"
    assert tags_of(own)["proj.exit_code"] == "3"
    assert tags_of(forgotten)["proj.owner"] == own["info"]["run_id"]
    assert forgotten["info"]["status"] == "FAILED"


def test_an_environment_that_cannot_be_made_fails_its_run_there(
    remote: ProjFolder, server: RestartableServer
) -> None:
    files = {"MLproject": "python_env: env.yaml\n" + echo_project("true")}
    remote.write({**files, "env.yaml": "dependencies: ['--no-index', 'there-is-no-such-package']\n"})
    assert remote.process("run", ".").code == 125
    assert server.the_run()["info"]["status"] == "FAILED"
    assert tags_of(server.the_run())["proj.failure"] == "env_failed"
    check_nothing_is_left(remote)


def test_a_run_within_a_run_is_recorded_there_too(remote: ProjFolder, server: RestartableServer) -> None:
    remote.write({"inner/MLproject": echo_project("echo inner")})
    remote.write({"MLproject": echo_project(f"{PROJ} run inner")})
    assert remote.process("run", ".").code == 0
    inner, outer = server.runs()
    assert tags_of(inner)["mlflow.parentRunId"] == outer["info"]["run_id"]
    check_nothing_is_left(remote)


# --- from another machine -----------------------------------------------------------------------------


def test_another_machine_follows_waits_and_cancels(remote: ProjFolder, server: RestartableServer) -> None:
    script(remote, 'print("begun", flush=True)\nmeet("half")')
    assert remote.process("run", ".", "--no-wait").code == 0
    eventually((remote.path / "half").exists)
    elsewhere = {"PROJ_HOME": str(remote.base / "another")}
    following = remote.start("logs", "-f", "latest", env=elsewhere)
    eventually(lambda: following.stdout == "begun\n")
    assert remote.process("wait", "latest", "--timeout", "0.1s", env=elsewhere).code == 124
    run_id = server.the_run()["info"]["run_id"]
    cancelled = remote.process("cancel", "latest", env=elsewhere)
    assert cancelled.stdout == f"{run_id} cancelled\n"
    assert following.finish().code == 0
    assert server.the_run()["info"]["status"] == "KILLED"
    eventually(lambda: not remote.processes())
    check_nothing_is_left(remote)


def test_a_program_that_calls_proj_outlives_a_run_that_is_cancelled_elsewhere(
    remote: ProjFolder, server: RestartableServer
) -> None:
    script(remote, 'meet("half")')
    caller = "import proj\ntry: proj.run('.')\nexcept proj.RunFailedError: pass\nprint('still here')"
    with subprocess.Popen(
        [sys.executable, "-c", caller], cwd=remote.path, env=remote.environment(), stdout=subprocess.PIPE
    ) as calling:
        eventually((remote.path / "half").exists)
        run_id = server.the_run()["info"]["run_id"]
        server.call("runs/set-tag", run_id=run_id, key="proj.cancel", value="now")
        said, _ = calling.communicate()
    assert said.endswith(b"still here\n")
    assert server.the_run()["info"]["status"] == "KILLED"


# --- the server goes away -----------------------------------------------------------------------------


def test_a_server_that_is_away_at_the_start_is_an_error_before_anything_is_built(
    remote: ProjFolder, server: RestartableServer
) -> None:
    server.kill()
    script(remote, LOGGING)
    done = remote.process("run", ".")
    assert done.code == 125
    assert server.url in done.stderr
    assert not (remote.path / "half").exists()
    assert not remote.cache.exists() or not list(remote.cache.rglob("environments/*"))
    assert remote.leftovers() == []


def test_a_run_goes_on_without_its_server_and_is_delivered_later(
    remote: ProjFolder, server: RestartableServer
) -> None:
    script(remote, LOGGING)
    started = begin(remote)
    server.kill()
    go_on(remote)
    done = started.finish()
    assert done.code == 0, done
    (told,) = [line for line in done.lines if "proj sync" in line]
    assert f"items wait for {server.url}" in told
    synced = remote.process("sync", "--json")
    assert synced.code == 1
    assert synced.json["data"]["waiting"] > 7
    server.start()
    synced = remote.process("sync", "--json")
    assert synced.code == 0, synced
    assert synced.json["data"]["waiting"] == 0
    check_everything_is_there_once(remote, server)
    again = remote.process("sync")
    assert (again.code, again.stderr) == (0, "Nothing waits.\n")


def test_a_server_that_comes_back_gets_everything_while_the_run_goes_on(
    remote: ProjFolder, server: RestartableServer
) -> None:
    script(remote, LOGGING.replace('print("the', 'meet("away")\nmetrics(9)\nprint("the'))
    started = begin(remote)
    server.kill()
    go_on(remote)
    eventually((remote.path / "away").exists)
    server.start()
    eventually(lambda: "is there again" in started.stderr)
    (remote.path / "away.go").touch()
    done = started.finish()
    assert done.code == 0, done
    assert "proj sync" not in done.stderr
    check_everything_is_there_once(remote, server)


def test_the_next_command_delivers(remote: ProjFolder, server: RestartableServer) -> None:
    script(remote, LOGGING.replace("3_000_000", "300_000"))  # what is larger is left to `proj sync`
    started = begin(remote)
    server.kill()
    go_on(remote)
    assert started.finish().code == 0
    server.start()
    # Not within half a minute of the last failure: that is forgotten here.
    _forget_failures(remote)
    eventually(lambda: remote.process("runs").code == 0 and not _waits(remote))
    check_everything_is_there_once(remote, server, 300_000)


def test_a_server_that_hangs_keeps_no_run_from_ending(remote: ProjFolder, server: RestartableServer) -> None:
    script(remote, LOGGING)
    started = begin(remote)
    server.hang()
    go_on(remote)
    done = started.finish()
    assert done.code == 0, done
    assert "proj sync" in done.stderr
    server.go_on()
    synced = remote.process("sync", "--json")
    assert synced.code == 0, synced
    check_everything_is_there_once(remote, server)


def test_what_a_killed_proj_left_is_closed_when_the_server_is_back(
    remote: ProjFolder, server: RestartableServer
) -> None:
    script(remote, LOGGING)
    started = begin(remote)
    server.kill()
    started.kill()
    local = {"PROJ_TRACKING_URI": None}
    looked = remote.process("runs", env=local)
    assert looked.code == 0
    assert "cannot be recorded" in looked.stderr
    assert remote.process("runs", env=local).stderr == "No runs.\n"
    server.start()
    assert remote.process("sync", env=local).code == 0
    run = server.the_run()
    assert run["info"]["status"] == "KILLED"
    assert tags_of(run)["proj.failure"] == "lost"
    assert server.history(run["info"]["run_id"], "loss") == [(step, step / 2) for step in range(5)]
    eventually(lambda: not remote.processes())
    assert remote.leftovers() == []


def _forget_failures(folder: ProjFolder) -> None:
    from proj.sync import forget_failures

    forget_failures(folder.home)


def _waits(folder: ProjFolder) -> bool:
    return (folder.home / "journal" / "waiting").exists()


# --- with a stock client ------------------------------------------------------------------------------

TRAINING = """
import sys, time
from pathlib import Path
import mlflow

mlflow.set_experiment("wine-quality")
with mlflow.start_run() as run:
    mlflow.log_params({"alpha": float(sys.argv[1]), "seed": 7})
    for step in range(5):
        mlflow.log_metric("rmse", 1 / (step + 1), step=step)
    with mlflow.start_run(run_name="fold", nested=True) as child:
        mlflow.log_metric("fold", 1)
    Path("half").touch()
    while not Path("half.go").exists():
        time.sleep(0.02)
    for step in range(5, 10):
        mlflow.log_metric("rmse", 1 / (step + 1), step=step)
    mlflow.log_params({"late": "yes"})
    mlflow.set_tag("team", "red")
    mlflow.log_text("hello", "notes/hello.txt")
    mlflow.log_dict({"a": 1}, "out/a.json")
"""


@pytest.mark.clients
@pytest.mark.parametrize("killed", [False, True], ids=["there", "killed"])
def test_a_script_with_the_stock_client_notices_nothing(
    killed: bool, remote: ProjFolder, server: RestartableServer, client: Callable[[str], Path]
) -> None:
    command = f"{client(NEWEST)} main.py {{alpha}}"
    project = echo_project(command).replace(
        "    command:", '    parameters: {alpha: {type: float, default: "0.50"}}\n    command:'
    )
    remote.write({"MLproject": project, "main.py": TRAINING})
    started = remote.start("run", ".", env={**QUIET, "HOME": str(remote.base)})
    waited = 0.0
    while not (remote.path / "half").exists() and waited < 300:
        assert started.process.poll() is None, started.stderr
        time.sleep(0.1)
        waited += 0.1
    if killed:
        server.kill()
    go_on(remote)
    done = started.finish()
    assert done.code == 0, done
    assert ("proj sync" in done.stderr) is killed
    if killed:
        server.start()
        assert remote.process("sync").code == 0
    fold, own = sorted(server.runs(), key=lambda run: "proj.claim" in tags_of(run))
    assert server.history(own["info"]["run_id"], "rmse") == [(step, 1 / (step + 1)) for step in range(10)]
    params = {param["key"]: param["value"] for param in own["data"]["params"]}
    assert params == {"alpha": "0.50", "seed": "7", "late": "yes"}
    assert tags_of(own)["team"] == "red"
    assert {own["info"]["status"], fold["info"]["status"]} == {"FINISHED"}
    assert tags_of(fold)["mlflow.parentRunId"] == own["info"]["run_id"]
    assert tags_of(fold)["proj.owner"] == own["info"]["run_id"]
    listed = remote.process("artifacts", "ls", own["info"]["run_id"], "-r", "--json").json["data"][
        "artifacts"
    ]
    assert {"notes/hello.txt", "out/a.json", "proj/outcome.json"} <= {entry["path"] for entry in listed}
    check_nothing_is_left(remote)


# --- credentials --------------------------------------------------------------------------------------


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[RestartableServer, str]]:
    """A server that lets nobody in without a token, and a token."""
    from proj.server.tokens import home_tokens

    made = RestartableServer(tmp_path / "server", "proj", options=("--auth",))
    (made.folder / "home").mkdir()
    token = home_tokens(made.folder / "home").add("ada")
    made.headers = {"Authorization": f"Bearer {token}"}
    made.start()
    yield made, token
    made.kill()


def _everything_below(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize("way", ["token", "password", "url", "ours"])
def test_credentials_are_sent_and_kept_nowhere(
    way: str, folder: ProjFolder, guarded: tuple[RestartableServer, str]
) -> None:
    server, token = guarded
    ways: dict[str, dict[str, str | None]] = {
        "token": {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_TRACKING_TOKEN": token},
        "password": {
            "MLFLOW_TRACKING_URI": server.url,
            "MLFLOW_TRACKING_USERNAME": "ada",
            "MLFLOW_TRACKING_PASSWORD": token,
        },
        "url": {"MLFLOW_TRACKING_URI": server.url.replace("://", f"://ada:{token}@")},
        "ours": {"PROJ_TRACKING_URI": server.url, "PROJ_TRACKING_TOKEN": token},
    }
    variables = ways[way]
    folder.write({"inner/MLproject": echo_project("echo inner")})
    nested = f"import subprocess\nsubprocess.run([{PROJ!r}, 'run', 'inner'], check=True)\n"
    script(folder, nested + 'meet("half")\nmetrics(1)\n')
    started = folder.start("run", ".", env=variables)
    eventually(lambda: (folder.path / "half").exists() or started.process.poll() is not None)
    server.kill()
    go_on(folder)
    done = started.finish()
    assert done.code == 0, done
    refused = folder.process("sync", env={"PROJ_TRACKING_URI": server.url})
    server.start()
    unknown = folder.process("sync", env={"PROJ_TRACKING_URI": server.url})
    assert unknown.code == 1
    assert "does not let you in" in unknown.stdout
    synced = folder.process("sync", env=variables)
    assert synced.code == 0, synced
    inner, outer = server.runs()
    assert tags_of(inner)["mlflow.parentRunId"] == outer["info"]["run_id"]
    assert {run["info"]["status"] for run in (inner, outer)} == {"FINISHED"}
    said: list[Result] = [done, refused, unknown, synced]
    assert token.encode() not in _everything_below(folder.home)
    assert token.encode() not in _everything_below(server.folder)
    assert not [each for each in said if token.encode() in each.out + each.err]


def test_a_token_that_expires_loses_nothing_and_changes_no_exit_code(
    folder: ProjFolder, guarded: tuple[RestartableServer, str]
) -> None:
    from proj.server.tokens import home_tokens

    server, token = guarded
    variables = {"PROJ_TRACKING_URI": server.url, "PROJ_TRACKING_TOKEN": token}
    script(folder, LOGGING + "sys.exit(3)")
    started = folder.start("run", ".", env=variables)
    eventually(lambda: (folder.path / "half").exists() or started.process.poll() is not None)
    tokens = home_tokens(server.folder / "home")
    tokens.revoke("ada")
    go_on(folder)
    done = started.finish()
    assert done.code == 3, done
    assert "proj sync" in done.stderr
    assert folder.leftovers() == []
    variables["PROJ_TRACKING_TOKEN"] = tokens.add("ada")
    server.headers = {"Authorization": f"Bearer {variables['PROJ_TRACKING_TOKEN']}"}
    synced = folder.process("sync", env=variables)
    assert synced.code == 0, synced
    run = server.the_run()
    assert run["info"]["status"] == "FAILED"
    assert tags_of(run)["proj.exit_code"] == "3"
    assert tags_of(run)["team"] == "blue"
    assert server.history(run["info"]["run_id"], "loss") == [(step, step / 2) for step in range(10)]
    listed = folder.process("artifacts", "ls", "latest", "-r", "--json", env=variables).json["data"]
    assert {"own.txt", "model/weights.bin"} <= {each["path"] for each in listed["artifacts"]}
    check_nothing_is_left(folder)


def test_who_is_not_let_in_is_told_before_anything_is_built(
    folder: ProjFolder, guarded: tuple[RestartableServer, str]
) -> None:
    server, _ = guarded
    script(folder, LOGGING)
    done = folder.process("run", ".", "--tracking-uri", server.url)
    assert done.code == 125
    assert "PROJ_TRACKING_TOKEN" in done.stderr
    assert not (folder.path / "half").exists()
    assert folder.leftovers() == []


def test_what_is_kept_beside_a_server_is_for_the_user_alone(remote: ProjFolder) -> None:
    remote.write({"MLproject": echo_project("true")})
    assert remote.process("run", ".").code == 0
    assert remote.home.stat().st_mode & 0o777 == 0o700


# --- steps --------------------------------------------------------------------------------------------


def test_steps_are_built_upon_each_other(remote: ProjFolder, server: RestartableServer) -> None:
    example = Path(__file__).parents[2] / "examples" / "multi-step"
    project = shutil.copytree(example, remote.path / "steps", ignore=shutil.ignore_patterns("__pycache__"))
    first = remote.process("run", str(project))
    assert first.code == 0, first
    runs = [tags_of(run)["mlflow.project.entryPoint"] for run in reversed(server.runs())]
    assert runs == ["main", "make_data", "train", "evaluate"]
    again = remote.process("run", str(project))
    assert again.code == 0, again
    # the very runs of before, taken instead of made
    assert again.stdout.splitlines()[:3] == first.stdout.splitlines()[:3]
    assert len(server.runs()) == 5
