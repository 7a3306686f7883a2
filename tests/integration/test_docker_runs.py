"""`proj run` in containers of the real engine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess  # noqa: TID251  runs proj as a person does
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dockerkit import import_image, new_image
from proj.images.engine import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dockerkit import Containers
    from proj.images.engine import Engine

pytestmark = pytest.mark.docker
_LIMIT_S = 110.0
_PROJ = str(Path(sys.executable).with_name("proj"))
_CANARY = "canary-7f3a91c2"


def _proj(*words: str, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [_PROJ, *words],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def _started(cwd: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([_PROJ, "run", "."], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _project(folder: Path, image: str, command: str, **more: str) -> Path:
    folder.mkdir(exist_ok=True)
    extra = "".join(f"\n  {name}: {value}" for name, value in more.items())
    (folder / "MLproject").write_text(
        f"name: boxed\ndocker_env:\n  image: {image}{extra}\n"
        f"entry_points:\n  main:\n    parameters:\n      x: {{type: string, default: a}}\n"
        f"    command: {json.dumps(command)}\n"
    )
    return folder


def _last(cwd: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_proj("show", "latest", "--json", cwd=cwd).stdout)["data"]
    return {**found, "outcome": (found["outcome"] or {}).get("outcome")}


def _await(condition: Any, what: str) -> None:
    end = time.monotonic() + _LIMIT_S
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_a_project_with_an_image_runs_in_it(
    tmp_path: Path, shell_image: str, containers: Containers, engine: Engine
) -> None:
    project = _project(
        tmp_path / "p",
        shell_image,
        "echo x={x}; id -u; pwd; echo made > made; echo result > $PROJ_ARTIFACTS/r",
    )
    done = _proj("run", ".", "-P", "x=a 'b' $(id)", cwd=project)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"x=a 'b' $(id)\n{os.getuid()}\n/mlflow/projects/code\n"
    made = project / "made"
    assert made.read_text() == "made\n"
    assert made.stat().st_uid == os.getuid()
    listed = _proj("artifacts", "ls", "latest", cwd=project).stdout.splitlines()
    assert "r" in [line.split()[0] for line in listed]
    tags = _last(project)["run"]["tags"]
    image_id = engine.ask("GET", f"/images/{shell_image}/json")["Id"]
    assert tags["mlflow.project.backend"] == "docker"
    assert tags["mlflow.docker.image.uri"] == shell_image
    assert tags["mlflow.docker.image.id"] == image_id
    assert containers.all() == []


def test_code_can_be_baked_into_the_image(tmp_path: Path, shell_image: str, containers: Containers) -> None:
    project = _project(tmp_path / "p", shell_image, "cat data; echo made > made.txt; echo sub > deep.log")
    with (project / "MLproject").open("a") as file:
        file.write("proj: {outputs: ['*.txt']}\n")
    (project / "data").write_text("of the project\n")
    done = _proj("run", ".", "--build-image", cwd=project)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "of the project\n"
    assert not (project / "made.txt").exists()
    listed = _proj("artifacts", "ls", "latest", cwd=project).stdout
    assert "made.txt" in listed
    assert "deep.log" not in listed


def test_exit_codes_are_the_program_s(tmp_path: Path, shell_image: str) -> None:
    assert _proj("run", ".", cwd=_project(tmp_path / "p", shell_image, "exit 7")).returncode == 7


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    project = _project(tmp_path / "p", "proj-test/none:1", "true")
    done = _proj("run", ".", "--pull", "never", cwd=project)
    assert done.returncode == 125
    assert "no image proj-test/none:1" in done.stderr
    assert _last(project)["outcome"]["failure"] == "image_pull"
    (project / "MLproject").write_text("entry_points: {main: {command: 'true'}}\n")
    done = _proj(
        "run", ".", "-b", "docker", "--base-image", "proj-test/none:1", "--pull", "never", cwd=project
    )
    assert "no image proj-test/none:1" in done.stderr
    assert _last(project)["outcome"]["failure"] == "image_pull"


@pytest.mark.parametrize("options", [("-A", "platform=linux/s390x"), ("--platform", "linux/s390x")])
def test_an_image_of_another_platform_is_not_taken(
    tmp_path: Path, shell_image: str, options: tuple[str, str]
) -> None:
    """As with docker, which asks the registry for the one that is meant."""
    project = _project(tmp_path / "p", shell_image, "true")
    done = _proj("run", ".", "--pull", "never", *options, cwd=project)
    assert done.returncode == 125
    assert f"The image {shell_image} is for linux/amd64, not for linux/s390x" in done.stderr
    assert _last(project)["outcome"]["failure"] == "image_pull"
    assert "Pulling" in _proj("run", ".", *options, cwd=project).stderr


def test_a_platform_that_cannot_be_meant_is_told_before_anything(tmp_path: Path, shell_image: str) -> None:
    done = _proj("run", ".", "--platform", "foo", cwd=_project(tmp_path / "p", shell_image, "true"))
    assert done.returncode == 2
    assert "Not a platform: 'foo'" in done.stderr
    assert "run with ID" not in done.stderr


def test_a_registry_that_is_away_is_an_image_pull(tmp_path: Path) -> None:
    project = _project(tmp_path / "p", "127.0.0.1:9/none:1", "true")
    done = _proj("run", ".", cwd=project)
    assert done.returncode == 125
    assert "cannot be pulled" in done.stderr
    assert _last(project)["outcome"]["failure"] == "image_pull"


def test_a_dockerfile_that_fails_is_told_with_its_last_lines(tmp_path: Path, shell_image: str) -> None:
    project = _project(tmp_path / "p", "proj-test/failing", "true", build="{}")
    (project / "Dockerfile").write_text(f'FROM {shell_image}\nRUN ["sh", "-c", "echo bad >&2; exit 3"]\n')
    done = _proj("run", ".", cwd=project)
    assert done.returncode == 125
    assert "| bad\n" in done.stderr, "without the colours that the daemon puts there"
    assert "x1b" not in done.stderr
    assert _last(project)["outcome"]["failure"] == "image_failed"


@pytest.mark.parametrize(
    ("entry_point", "said"),
    [
        ('["env", "GIVEN=by it"]', "by it\n"),
        ('["env", "GIVEN=before", "/bin/sh", "/mlflow/projects/run"]', "before\n"),
    ],
)
def test_an_entry_point_of_the_image(tmp_path: Path, shell_image: str, entry_point: str, said: str) -> None:
    """It gets the command, as with docker; but that of an image of `proj build` would not know what to do."""
    project = _project(tmp_path / "p", "proj-test/entered", "echo $GIVEN", build="{}")
    (project / "Dockerfile").write_text(f"FROM {shell_image}\nENTRYPOINT {entry_point}\n")
    done = _proj("run", ".", cwd=project)
    assert (done.returncode, done.stdout) == (0, said), done.stderr


def test_an_image_without_a_shell_says_so(tmp_path: Path, engine: Engine) -> None:
    import_image("proj-test/empty:1", bytes(10240))
    done = _proj("run", ".", cwd=_project(tmp_path / "p", "proj-test/empty:1", "true"))
    assert done.returncode == 125
    assert "the image has no such program" in done.stderr


def test_memory_that_runs_out_is_told_with_its_limit(tmp_path: Path, shell_image: str) -> None:
    project = _project(
        tmp_path / "p", shell_image, "x=$(head -c 200000000 /dev/zero | tr -c y x); echo $x | wc -c"
    )
    done = _proj("run", ".", "-A", "memory=32m", "-A", "memory-swap=32m", cwd=project)
    outcome = _last(project)["outcome"]
    assert outcome["failure"] == "oom_killed", done.stderr
    assert "32 MiB" in outcome["message"]


def test_a_port_that_is_taken_is_unschedulable(
    tmp_path: Path, shell_image: str, containers: Containers
) -> None:
    project = _project(tmp_path / "p", shell_image, "true")
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))  # noqa: S104  docker publishes on all
        taken.listen()
        port = taken.getsockname()[1]
        done = _proj("run", ".", "-A", f"publish={port}:80", cwd=project)
    assert done.returncode == 125
    assert "port that it publishes is taken" in done.stderr
    assert _last(project)["outcome"]["failure"] == "unschedulable"
    assert containers.all() == []


def test_no_daemon_says_which(tmp_path: Path, shell_image: str) -> None:
    project = _project(tmp_path / "p", shell_image, "true")
    done = _proj("run", ".", cwd=project, env={"DOCKER_HOST": "unix:///nowhere/docker.sock"})
    assert done.returncode == 125
    assert "/nowhere/docker.sock" in done.stderr
    assert "no such socket" in done.stderr


def test_a_variable_that_is_missing_is_named_before_anything(tmp_path: Path) -> None:
    project = _project(tmp_path / "p", "proj-test/none:1", "true", environment="[PROJ_TEST_A, PROJ_TEST_B]")
    done = _proj("run", ".", cwd=project)
    assert done.returncode == 125
    assert "PROJ_TEST_A" in done.stderr
    assert "PROJ_TEST_B" in done.stderr
    assert "pull" not in done.stderr
    project = _project(tmp_path / "q", "proj-test/none:1", "true")
    with (project / "MLproject").open("a") as file:
        file.write("proj: {secrets: [API_TOKEN_OF_NOBODY]}\n")
    done = _proj("run", ".", cwd=project)
    assert done.returncode == 125
    assert "copies API_TOKEN_OF_NOBODY from here, which is not set" in done.stderr
    assert "value in the project file" not in done.stderr, "that would be no secret any more"
    assert "Pulling" not in done.stderr


def test_volumes_and_variables_of_the_project(tmp_path: Path, shell_image: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/file").write_text("from a volume\n")
    project = _project(
        tmp_path / "p",
        shell_image,
        "cat /data/file; echo $MODE $COPIED",
        volumes='["$(pwd)/../data:/data:ro"]',
        environment="[[MODE, quick], [COPIED]]",
    )
    done = _proj("run", ".", cwd=project, env={"COPIED": "as here"})
    assert done.stdout == "from a volume\nquick as here\n", done.stderr


def test_a_volume_s_folder_that_is_not_there_is_made_for_the_user(tmp_path: Path, shell_image: str) -> None:
    project = _project(tmp_path / "p", shell_image, "echo written >/out/file", volumes='["./out/deep:/out"]')
    done = _proj("run", ".", cwd=project)
    assert done.returncode == 0, done.stderr
    assert f"The volume's folder {project}/out/deep was not there: it is made" in done.stderr
    made = project / "out/deep"
    assert (made / "file").read_text() == "written\n"
    assert made.stat().st_uid == os.getuid()


def test_arguments_that_the_engine_takes_are_as_docker_s(
    tmp_path: Path, shell_image: str, containers: Containers
) -> None:
    project = _project(tmp_path / "p", shell_image, "cat /etc/hosts; stat -f -c %T /cache; ls /in")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/here").touch()
    given = {
        "add-host": "db:10.1.2.3",
        "cpus": ".5",
        "memory": "256m",
        "memory-swap": "-1",
        "device": "/dev/null:/dev/nothing:rw",
        "mount": f"type=bind,src={tmp_path}/in,dst=/in,ro,bind-propagation=rprivate",
        "pids-limit": "100",
        "publish": "127.0.0.1::81/udp",
        "security-opt": "no-new-privileges",
        "sysctl": "net.ipv4.ip_forward=0",
        "tmpfs": "/cache:size=1m,mode=1777,noexec",
        "ulimit": "nofile=64:128",
    }
    words = [word for name, value in given.items() for word in ("-A", f"{name}={value}")]
    done = _proj("run", ".", "--keep", *words, cwd=project)
    assert done.returncode == 0, done.stderr
    assert "10.1.2.3\tdb" in done.stdout
    assert done.stdout.endswith("tmpfs\nhere\n")
    (kept,) = containers.all()
    machine = containers.inspect(kept["Id"])["HostConfig"]
    assert (machine["NanoCpus"], machine["Memory"], machine["MemorySwap"]) == (5 * 10**8, 256 << 20, -1)
    assert machine["Ulimits"] == [{"Name": "nofile", "Soft": 64, "Hard": 128}]


def test_arguments_are_recorded_but_for_values_and_given_again(
    tmp_path: Path, shell_image: str, containers: Containers
) -> None:
    project = _project(tmp_path / "p", shell_image, "echo $MODE; cat /etc/hostname")
    words = ["-A", f"e=MODE={_CANARY}", "-A", "hostname=boxed", "-A", "init"]
    ran = _proj("run", ".", *words, cwd=project)
    assert ran.stdout == f"{_CANARY}\nboxed\n", ran.stderr
    shown = _proj("show", "latest", cwd=project).stdout
    assert "-A e=MODE -A hostname=boxed -A init" in " ".join(shown.split())
    recorded = [file for file in Path(os.environ["PROJ_HOME"]).rglob("*.json") if _CANARY in file.read_text()]
    assert recorded == []
    lacking = _proj("reproduce", "latest", cwd=project)
    assert (lacking.returncode, len(containers.all())) == (125, 0)
    assert "the variable MODE is not set here" in lacking.stderr
    again = _proj("reproduce", "latest", "--keep", "--verify", cwd=project, env={"MODE": _CANARY})
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith(f"{_CANARY}\nboxed\n")
    (kept,) = containers.all()
    assert containers.inspect(kept["Id"])["HostConfig"]["Init"] is True
    other = _proj("run", ".", "-A", "hostname=other", cwd=project)
    assert other.returncode == 0, other.stderr
    ids = [each["run_id"] for each in json.loads(_proj("runs", "--json", cwd=project).stdout)["data"]["runs"]]
    assert "docker arguments" in _proj("diff", ids[0], ids[1], cwd=project).stdout


def test_inputs_outside_of_the_project_are_mounted(tmp_path: Path, shell_image: str) -> None:
    project = _project(tmp_path / "p", shell_image, "cat {x}")
    text = (project / "MLproject").read_text().replace("type: string, default: a", "type: path")
    (project / "MLproject").write_text(text)
    data = tmp_path / "an input.txt"
    data.write_text("outside\n")
    done = _proj("run", ".", "-P", f"x={data}", cwd=project)
    assert done.stdout == "outside\n", done.stderr


def test_secrets_are_seen_nowhere(
    tmp_path: Path, shell_image: str, containers: Containers, engine: Engine
) -> None:
    project = _project(tmp_path / "p", shell_image, 'printf %s "$SECRET" | wc -c; echo re""ady; sleep 600')
    with (project / "MLproject").open("a") as file:
        file.write("proj: {secrets: [SECRET]}\n")
    run = subprocess.Popen(
        [_PROJ, "run", "."],
        cwd=project,
        env={**os.environ, "SECRET": _CANARY},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert run.stdout is not None
    seen = b""
    while b"ready" not in seen:
        line = run.stdout.readline()
        assert line, seen
        seen += line
    assert str(len(_CANARY)).encode() in seen
    (container,) = containers.all()
    told = json.dumps(containers.inspect(container["Id"]))
    told += json.dumps(engine.ask("GET", f"/containers/{container['Id']}/top", {"ps_args": "axww"}))
    told += json.dumps(engine.ask("GET", f"/images/{shell_image}/history"))
    told += subprocess.run(["ps", "axww"], capture_output=True, text=True, check=True).stdout
    changed = engine.ask("GET", f"/containers/{container['Id']}/changes")
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=_LIMIT_S)
    assert _CANARY not in told
    assert not [each for each in changed or () if not each["Path"].startswith("/mlflow")]
    for path in Path(os.environ["PROJ_HOME"]).rglob("*"):
        assert not path.is_file() or _CANARY.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_container(
    signum: signal.Signals, tmp_path: Path, shell_image: str, containers: Containers
) -> None:
    project = _project(tmp_path / "p", shell_image, "echo ready; sleep 600")
    run = _started(project)
    assert run.stdout is not None
    assert run.stdout.readline() == b"ready\n"
    run.send_signal(signum)
    run.communicate(timeout=_LIMIT_S)
    assert run.returncode == 128 + signum
    assert _last(project)["run"]["status"] == "KILLED"
    assert containers.all() == []


def test_a_container_outlives_its_proj_and_is_followed_again(
    tmp_path: Path, shell_image: str, containers: Containers
) -> None:
    project = _project(
        tmp_path / "p",
        shell_image,
        "for i in 1 2 3 4 5 6 7 8 9; do echo $i; sleep 0.5; done; "
        "while [ ! -e go ]; do sleep 0.1; done; echo last; exit 5",
    )
    run = _started(project)
    assert run.stdout is not None
    assert run.stdout.readline() == b"1\n"
    run.kill()
    run.communicate()
    assert len(containers.all()) == 1
    _proj("runs", cwd=project)
    assert _last(project)["run"]["status"] == "RUNNING"
    (project / "go").touch()
    waited = _proj("wait", "latest", cwd=project)
    assert waited.returncode == 5, waited.stderr
    last = _last(project)
    assert (last["run"]["status"], last["outcome"]["exit_code"]) == ("FAILED", 5)
    logs = _proj("logs", "latest", cwd=project).stdout
    assert logs.split() == [*"123456789", "last"]
    _await(lambda: containers.all() == [], "the container is removed")


def test_a_container_that_ended_meanwhile_is_closed_by_its_true_state(
    tmp_path: Path, shell_image: str, containers: Containers
) -> None:
    command = "echo ready; while [ ! -e go ]; do sleep 0.1; done; echo end; exit 6"
    project = _project(tmp_path / "p", shell_image, command)
    run = _started(project)
    assert run.stdout is not None
    assert run.stdout.readline() == b"ready\n"
    run.kill()
    run.communicate()
    (project / "go").touch()
    _await(lambda: containers.all()[0]["State"] == "exited", "it has ended")
    _proj("runs", cwd=project)
    last = _last(project)
    assert (last["run"]["status"], last["outcome"]["exit_code"]) == ("FAILED", 6)
    assert _proj("logs", "latest", cwd=project).stdout == "ready\nend\n"
    assert containers.all() == []


def test_a_run_in_the_background_is_cancelled(
    tmp_path: Path, shell_image: str, containers: Containers
) -> None:
    project = _project(tmp_path / "p", shell_image, "echo ready; sleep 600")
    run_id = _proj("run", ".", "--no-wait", cwd=project).stdout.strip()
    _await(lambda: "ready" in _proj("logs", run_id, cwd=project).stdout, "it has begun")
    assert _proj("cancel", run_id, cwd=project).returncode == 0
    _proj("wait", run_id, cwd=project)
    assert _last(project)["run"]["status"] == "KILLED"
    assert containers.all() == []


def test_a_time_limit_ends_the_container(tmp_path: Path, shell_image: str, containers: Containers) -> None:
    project = _project(tmp_path / "p", shell_image, "sleep 600")
    _proj("run", ".", "--timeout", "1s", cwd=project)
    assert _last(project)["outcome"]["failure"] == "deadline"
    assert containers.all() == []


def test_keep_leaves_the_container(tmp_path: Path, shell_image: str, containers: Containers) -> None:
    done = _proj("run", ".", "--keep", cwd=_project(tmp_path / "p", shell_image, "true"))
    assert "The container is kept" in done.stderr
    assert len(containers.all()) == 1


def _tag(engine: Engine, image: str, name: str) -> None:
    repository, _, tag = name.rpartition(":")
    engine.ask("POST", f"/images/{image}/tag", {"repo": repository, "tag": tag})


class _Moving:
    """A tag that means one image and then another."""

    def __init__(self, engine: Engine, images: Mapping[str, str]) -> None:
        self.name = f"proj-test/moving:{uuid.uuid4().hex[:12]}"
        self._engine, self._images = engine, images

    def to(self, image: str) -> None:
        _tag(self._engine, self._images[image], self.name)


@pytest.fixture
def moving(engine: Engine, python_image: str, shell_image: str) -> Iterator[_Moving]:
    """A tag of the image with a Python that can be moved to that with a shell only."""
    tag = _Moving(engine, {"python": python_image, "shell": shell_image})
    tag.to("python")
    yield tag
    with contextlib.suppress(EngineError):
        engine.ask("DELETE", f"/images/{tag.name}")


def test_a_run_is_made_again_in_the_image_that_ran(tmp_path: Path, moving: _Moving) -> None:
    project = _project(tmp_path / "p", moving.name, "python3 -c 'print(41 + 1)'")
    assert _proj("run", ".", cwd=project).returncode == 0
    ran = _last(project)["run"]["tags"]["mlflow.docker.image.id"]
    moving.to("shell")
    again = _proj("reproduce", "latest", "--verify", cwd=project)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count(f"{moving.name} is another image now; the one that ran is used") == 1
    assert _last(project)["run"]["tags"]["mlflow.docker.image.id"] == ran


def test_another_image_than_the_one_that_ran_is_not_taken_without_a_word(
    tmp_path: Path, moving: _Moving, engine: Engine
) -> None:
    new_image(moving.name)
    project = _project(tmp_path / "p", moving.name, "true")
    assert _proj("run", ".", cwd=project).returncode == 0
    ran = _last(project)["run"]["tags"]["mlflow.docker.image.id"]
    moving.to("shell")
    with contextlib.suppress(EngineError):  # it has no name any more, and so may be gone already
        engine.ask("DELETE", f"/images/{ran}")
    again = _proj("reproduce", "latest", cwd=project)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count(f"The image that ran, {ran[:19]}, is gone") == 1
    assert f"What {moving.name} is now is used instead" in again.stderr


def test_a_run_in_an_assembled_image_is_made_again_in_it_though_its_base_has_moved(
    tmp_path: Path, moving: _Moving
) -> None:
    project = tmp_path / "p"
    project.mkdir()
    (project / "MLproject").write_text(
        "name: p\nentry_points: {main: {command: 'python3 -c \"print(7)\"'}}\n"
    )
    ran = _proj("run", ".", "-b", "docker", "--base-image", moving.name, cwd=project)
    assert ran.returncode == 0, ran.stderr
    first = _last(project)["run"]["tags"]["mlflow.docker.image.id"]
    moving.to("shell")  # without Python, the command would fail
    again = _proj("reproduce", "latest", cwd=project)
    assert again.returncode == 0, again.stderr
    assert _last(project)["run"]["tags"]["mlflow.docker.image.id"] == first


def test_a_baked_image_is_taken_again_and_its_tag_has_not_moved(tmp_path: Path, moving: _Moving) -> None:
    project = _project(tmp_path / "p", moving.name, "cat /mlflow/projects/code/MLproject")
    ran = _proj("run", ".", "--build-image", cwd=project)
    assert ran.returncode == 0, ran.stderr
    first = _image_of_last(project)
    again = _proj("reproduce", "latest", cwd=project)
    assert again.returncode == 0, again.stderr
    assert "another image now" not in again.stderr
    assert _image_of_last(project) == first
    moving.to("shell")
    again = _proj("reproduce", "latest", cwd=project)
    assert f"{moving.name} is another image now" in again.stderr
    assert _image_of_last(project) == first


def _image_of_last(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = _last(project)["environment"]["image"]
    return found
