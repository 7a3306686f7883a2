"""Whole runs on a real cluster: as users start them, cut, killed, cancelled and found again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess  # noqa: TID251  what the tests start must not be looked after by what they test
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import serverkit
from clusterkit import IMAGE, RULES, Namespace, limited_kubeconfig
from proj import command
from proj.backends.kubernetes import KubernetesBackend
from proj.kube.cluster import open_cluster
from proj.model import BoundParameter, Code, Command, Execution, ImageRuntime, RecipeRuntime, RunStatus
from proj.testing.backends import execution_maker, stored
from projkit import PROJ, ProjFolder, eventually
from terminals import Person

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(300)]

HOST = "172.17.0.1"
"""Where pods of the test cluster reach this machine."""
LINES = 12
SLOW = f"for i in $(seq {LINES}); do echo line $i; sleep 0.5; done"


def docker_project(line: str) -> dict[str, str | bytes]:
    return {
        "MLproject": json.dumps({
            "name": "on the cluster",
            "docker_env": {"image": IMAGE},
            "entry_points": {"main": {"command": line}},
        })
    }  # fmt: skip


def options(namespace: Namespace, **settings: object) -> list[str]:
    return ["--backend", "kubernetes", "-c", namespace.config(**settings), "--grace", "1s"]


def last_run(folder: ProjFolder) -> dict[str, Any]:
    found: list[dict[str, Any]] = folder.process("runs", "--json").json["data"]["runs"]
    return found[0]


# --- a run as users start it --------------------------------------------------------------------------

SCRIPT = """\
import json, os, six, sys, urllib.request
def post(path, **body):
    url = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/" + path
    token = os.environ["MLFLOW_TRACKING_TOKEN"]
    headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
    asked = urllib.request.Request(url, json.dumps(body).encode(), headers)
    urllib.request.urlopen(asked, timeout=60).read()
post("runs/log-metric", run_id=os.environ["MLFLOW_RUN_ID"], key="loss", value=0.25, timestamp=1, step=3)
with open(os.environ["PROJ_ARTIFACTS"] + "/sub-report.txt", "w") as file:
    file.write("kept")
print("six", six.__version__, sys.argv[1], os.getcwd(), os.getuid())
"""


@pytest.mark.network
def test_a_python_project_needs_few_rights_and_nothing_else(
    folder: ProjFolder, namespace: Namespace, tmp_path: Path
) -> None:
    kubeconfig = limited_kubeconfig(namespace, tmp_path, RULES)
    folder.write({
        "MLproject": "name: demo\npython_env: env.yaml\nentry_points:\n  main:\n"
        "    parameters: {text: string}\n    command: python train.py {text}\n",
        "env.yaml": 'python: "3.11"\ndependencies: ["six==1.16.0"]\n',
        "train.py": SCRIPT,
    })  # fmt: skip
    token = folder.process("server", "token", "add", "ada").stdout.split()[-1]
    with serverkit.running(tmp_path, "--host", HOST, "--auth", "--insecure") as server:
        env = {
            "KUBECONFIG": str(kubeconfig),
            "PATH": f"{os.path.dirname(PROJ)}:/usr/bin:/bin",  # noqa: PTH120  a text
            "PROJ_TRACKING_URI": server.uri,
            "PROJ_TRACKING_TOKEN": token,
            "PROJ_HOME": str(tmp_path / "client"),
        }
        value = "a 'b' $(HOME) `id` \"c\" $$x"
        done = folder.process(
            "run", ".", "-P", f"text={value}", *options(namespace), "--base-image", IMAGE, env=env
        )
        assert done.code == 0, done
        assert f"six 1.16.0 {value} /mlflow/projects/code 1000" in done.stdout
        run_id = re.findall(r"ID '([0-9a-f]{32})'", done.stderr)[-1]
        shown = folder.process("show", run_id, "--json", env=env).json["data"]
        assert "FINISHED" in json.dumps(shown)
        assert '"loss"' in json.dumps(shown)
        listed = folder.process("artifacts", "ls", run_id, "--json", env=env).stdout
        assert "sub-report.txt" in listed
        assert "six 1.16.0" in folder.process("logs", run_id, env=env).stdout
        for kind in ("jobs", "pods", "configmaps", "events"):
            assert token not in namespace.text(kind)
        assert token not in done.stdout + done.stderr


def test_the_runs_own_endpoint_is_reached_from_the_pod(folder: ProjFolder, namespace: Namespace) -> None:
    line = (
        "python3 -c \"import os,urllib.request as u; r=u.Request(os.environ['MLFLOW_TRACKING_URI']+"
        "'/api/2.0/mlflow/runs/get?run_id='+os.environ['MLFLOW_RUN_ID'],"
        "headers={{'Authorization':'Bearer '+os.environ['MLFLOW_TRACKING_TOKEN']}});"
        'print(u.urlopen(r).status)"'
    )
    folder.write(docker_project(line))
    done = folder.process("run", ".", *options(namespace, endpoint_host=HOST))
    assert (done.code, done.stdout) == (0, "200\n"), done


def test_a_place_that_no_pod_reaches_is_told_before_the_start(
    folder: ProjFolder, namespace: Namespace
) -> None:
    folder.write(docker_project('echo "[$MLFLOW_TRACKING_URI]"'))
    done = folder.process("run", ".", *options(namespace))
    assert (done.code, done.stdout) == (0, "[]\n"), done
    warned = next(line for line in done.lines if line.startswith("warning:"))
    assert "pods do not reach" in warned
    assert "endpoint-host" in warned


def test_code_of_several_parts_arrives_as_it_is(folder: ProjFolder, namespace: Namespace) -> None:
    noise = os.urandom(2_500_000)
    folder.write({**docker_project("sha256sum noise.bin; ls -a; cat '.hidden file'"), "noise.bin": noise})
    folder.write({".hidden file": "x\n", ".dockerignore": "secret.txt\n", "secret.txt": "no"})
    done = folder.process("run", ".", *options(namespace))
    assert done.code == 0, done
    assert hashlib.sha256(noise).hexdigest() in done.stdout
    assert "secret.txt" not in done.stdout
    maps = namespace.names("configmaps", "app.kubernetes.io/managed-by=proj")
    folder.process("run", ".", *options(namespace))
    assert namespace.names("configmaps", "app.kubernetes.io/managed-by=proj") == maps


def test_code_that_is_too_large_is_refused_with_what_to_do(folder: ProjFolder, namespace: Namespace) -> None:
    folder.write({**docker_project("true"), "noise.bin": os.urandom(9_000_000)})
    done = folder.process("run", ".", *options(namespace))
    assert done.code == 125
    assert "8.0 MiB at most" in done.stderr
    assert "repository-uri" in done.stderr


def test_code_that_is_too_large_for_the_cluster_is_fetched_from_the_runs_artifacts(
    folder: ProjFolder, namespace: Namespace
) -> None:
    noise = os.urandom(9_000_000)
    folder.write({**docker_project("sha256sum noise.bin; cat small"), "noise.bin": noise, "small": "s\n"})
    done = folder.process("run", ".", *options(namespace, endpoint_host=HOST))
    assert done.code == 0, done
    assert done.stdout.split()[0] == hashlib.sha256(noise).hexdigest()
    assert done.stdout.endswith("s\n")
    run = last_run(folder)
    assert "code.tar.gz" not in folder.process("artifacts", "ls", run["run_id"], "proj", "--json").stdout


@pytest.mark.network
def test_large_code_and_its_environment_come_by_a_tracking_server(
    folder: ProjFolder, namespace: Namespace, tmp_path: Path
) -> None:
    noise = os.urandom(9_000_000)
    folder.write({
        "MLproject": "name: demo\npython_env: env.yaml\nentry_points: {main: {command: python train.py}}\n",
        "env.yaml": 'python: "3.11"\ndependencies: ["six==1.16.0"]\n',
        "train.py": "import hashlib, six\n"
        "print(hashlib.sha256(open('noise.bin', 'rb').read()).hexdigest())\n",
        "noise.bin": noise,
    })  # fmt: skip
    token = folder.process("server", "token", "add", "ada").stdout.split()[-1]
    with serverkit.running(tmp_path, "--host", HOST, "--auth", "--insecure") as server:
        env = {"PROJ_TRACKING_URI": server.uri, "PROJ_TRACKING_TOKEN": token}
        done = folder.process("run", ".", *options(namespace), "--base-image", IMAGE, env=env)
        assert (done.code, done.stdout) == (0, f"{hashlib.sha256(noise).hexdigest()}\n"), done
        for kind in ("jobs", "pods", "configmaps", "events"):
            assert token not in namespace.text(kind)


def own_package(word: str) -> dict[str, str | bytes]:
    return {
        "lib/pyproject.toml": '[build-system]\nrequires = ["setuptools"]\n'
        'build-backend = "setuptools.build_meta"\n[project]\nname = "own"\nversion = "1"\n'
        '[tool.setuptools]\npy-modules = ["own"]\n',
        "lib/own.py": f"WORD = {word!r}\n",
    }


@pytest.mark.network
def test_a_cache_of_environments_has_nothing_of_the_code(
    folder: ProjFolder, namespace: Namespace, claim: str
) -> None:
    """Of two runs with one lock, each has its own packages as they are in its code."""
    line = "python -c 'import own, six; print(own.WORD, six.__file__.startswith(\"/mlflow/projects/env/\"))'"
    folder.write({
        "MLproject": json.dumps({"name": "demo", "python_env": "env.yaml",
                                 "entry_points": {"main": {"command": line}}}),
        "env.yaml": 'python: "3.11"\ndependencies: ["six==1.16.0", ./lib]\n',
    })  # fmt: skip
    words = ["run", ".", *options(namespace, cache_claim=claim), "--base-image", IMAGE]
    for word in ("one", "two"):
        folder.write(own_package(word))
        done = folder.process(*words)
        assert (done.code, done.stdout) == (0, f"{word} True\n"), done


@pytest.mark.network
def test_a_program_cannot_alter_what_later_runs_find(
    folder: ProjFolder, namespace: Namespace, claim: str
) -> None:
    line = "python -c 'import six; print(six.__file__); open(six.__file__, \"a\")'"
    folder.write({
        "MLproject": json.dumps({"name": "demo", "python_env": "env.yaml",
                                 "entry_points": {"main": {"command": line}}}),
        "env.yaml": 'python: "3.11"\ndependencies: ["six==1.16.0"]\n',
    })  # fmt: skip
    words = ["run", ".", *options(namespace, cache_claim=claim), "--base-image", IMAGE]
    first, second = folder.process(*words), folder.process(*words)
    assert "/mlflow/projects/cache/" in first.stdout
    assert sorted(second.stdout.splitlines()) == sorted(first.stdout.splitlines())
    assert (first.code, "Read-only file system" in folder.process("logs", "latest").stdout) == (1, True)


def test_what_the_cluster_said_is_shown_with_the_run(folder: ProjFolder, namespace: Namespace) -> None:
    folder.write(docker_project("true"))
    done = folder.process("run", ".", *options(namespace), "--memory", "900Gi", "--pending-timeout", "3s")
    assert done.code == 125
    run_id = last_run(folder)["run_id"]
    shown = folder.process("show", run_id).stdout
    assert f"namespace {namespace.name}" in shown
    assert "FailedScheduling: " in shown
    job = folder.process("show", run_id, "--json").json["data"]["job"]
    assert job["namespace"] == namespace.name


def test_a_subfolder_is_the_working_directory(folder: ProjFolder, namespace: Namespace) -> None:
    folder.write({f"sub/{name}": text for name, text in docker_project("pwd; cat ../top; id -u").items()})
    folder.write({"top": "above\n"})
    for argv in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run(["git", *argv], cwd=folder.path, check=True)
    done = folder.process("run", ".#sub", *options(namespace, run_as_user=4711))
    assert (done.code, done.stdout) == (0, "/mlflow/projects/code/sub\nabove\n4711\n"), done


NASTY = [
    "$(HOME)", "$$(HOME)", "$HOME", "$$", "${HOME}", "`id`", "$(id)", "a b", "'", '"', "\\", "a'b\"c$d`e\\f",
    "!!", "*", "~", "-n", "--", "#", "&&", ";", "|", ">x", "\n", "tab\there", "ä→🙂", "{x}", "{{x}}", "%s",
    "$(MLFLOW_RUN_ID)", "$(PROJ_RUN_ID)", "x=$(PROJ_RUN_ID)y",
]  # fmt: skip


def test_values_arrive_byte_for_byte(tmp_path: Path, namespace: Namespace) -> None:
    """What Kubernetes takes for variables of its own, and all that shells take for theirs."""
    names = [f"p{number}" for number in range(len(NASTY))]
    bound = [
        BoundParameter(name=name, given=value, value=value) for name, value in zip(names, NASTY, strict=True)
    ]
    template = "printf '%s\\0' " + " ".join(f"{{{name}}}" for name in names)
    template += "; printf '%s\\0' " + " ".join(f'"{{{name}}}"' for name in names)
    line = command.render(template, bound)
    make = execution_maker(tmp_path, runtime=ImageRuntime(image=IMAGE), cwd="/")
    run_id = os.urandom(16).hex()
    execution = make(
        line, run_id=run_id, backend_config=namespace.config(), variables={"PROJ_RUN_ID": run_id},
        command=Command(line=line, argv=command.container_argv(line), cwd="/"),
    )  # fmt: skip
    assert KubernetesBackend().submit(execution).wait().status is RunStatus.FINISHED
    assert stored(execution).decode().split("\0")[:-1] == NASTY * 2


# --- how many requests a run takes --------------------------------------------------------------------


def recipe(tmp_path: Path, namespace: Namespace, line: str) -> Execution:
    tree = tmp_path / "tree"
    tree.mkdir(exist_ok=True)
    (tree / "file.txt").write_text(os.urandom(4).hex())
    make = execution_maker(tmp_path, runtime=RecipeRuntime(image=IMAGE), cwd="/mlflow/projects/code")
    return make(
        line, run_id=os.urandom(16).hex(), backend_config=namespace.config(), code=Code(root=tree),
        variables={"TOKEN": "x"}, secrets=("TOKEN",), grace_s=1.0,
    )  # fmt: skip


def test_a_run_takes_few_requests(tmp_path: Path, namespace: Namespace) -> None:
    client = open_cluster(None).client
    before = client.calls
    assert KubernetesBackend().submit(recipe(tmp_path, namespace, "cat file.txt")).wait().exit_code == 0
    assert client.calls - before <= 12


def test_many_runs_share_their_watches(tmp_path: Path, namespace: Namespace) -> None:
    count = 16
    client = open_cluster(None).client
    before = client.calls
    handles = []
    for number in range(count):
        (tmp_path / str(number)).mkdir()
        handles.append(
            KubernetesBackend().submit(recipe(tmp_path / str(number), namespace, f"echo {number}"))
        )
    outcomes: list[Any] = [None] * count
    threads = []
    for number, handle in enumerate(handles):

        def wait(number: int = number, handle: Any = handle) -> None:
            outcomes[number] = handle.wait()

        threads.append(threading.Thread(target=wait))
        threads[-1].start()
    for thread in threads:
        thread.join(120)
    assert [outcome.status for outcome in outcomes] == [RunStatus.FINISHED] * count
    assert client.calls - before <= 10 * count
    logs = [(tmp_path / str(number) / "record-1" / "stdout.log").read_text() for number in range(count)]
    assert logs == [f"{number}\n" for number in range(count)]


# --- connections that are cut -------------------------------------------------------------------------


class Proxy:
    """A way to the API server that can be cut, and taken away."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.away = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.away:
                near.close()
                continue
            far = socket.create_connection(self._target)
            self._pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for each in (source, sink):
                each.close()

    def cut(self) -> None:
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for each in pair:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        self.cut()


@pytest.fixture
def proxied(namespace: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    host, _, port = namespace.client.server.removeprefix("https://").partition(":")
    proxy = Proxy((host, int(port)))
    config = Path(os.environ["KUBECONFIG"]).read_text()
    path = tmp_path / "proxied.yaml"
    path.write_text(config.replace(namespace.client.server, f"https://127.0.0.1:{proxy.port}"))
    monkeypatch.setenv("KUBECONFIG", str(path))
    yield proxy
    proxy.close()


def test_no_line_is_lost_or_doubled_when_connections_are_cut(
    proxied: Proxy, tmp_path: Path, namespace: Namespace
) -> None:
    line = "for i in $(seq 1 40); do echo line $i; sleep 0.2; done; printf end; exit 5"
    make = execution_maker(tmp_path, runtime=ImageRuntime(image=IMAGE), cwd="/")
    execution = make(line, run_id=os.urandom(16).hex(), backend_config=namespace.config())
    handle = KubernetesBackend().submit(execution)
    done = threading.Event()

    def trouble() -> None:
        turn = 0
        while not done.wait(0.7):
            turn += 1
            proxied.away = turn % 4 == 3  # the API server is gone for a while
            proxied.cut()
        proxied.away = False

    thread = threading.Thread(target=trouble)
    thread.start()
    # The last cuts come while the program ends; the way has to be there for the rest of it.
    threading.Timer(15, done.set).start()
    outcome = handle.wait()
    done.set()
    thread.join()
    assert outcome.exit_code == 5
    expected = "".join(f"line {number}\n" for number in range(1, 41)) + "end"
    assert stored(execution).decode() == expected


# --- clients that die ---------------------------------------------------------------------------------

KILLED = """\
import os, signal, sys
from proj.kube.client import Client
from proj import cli
before = Client.send
count = 0
def send(self, method, path, *args, **options):
    global count
    if method != "GET":
        count += 1
        when, number = sys.argv[1].split("-")
        if count == int(number) and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = before(self, method, path, *args, **options)
        if count == int(number) and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    return before(self, method, path, *args, **options)
Client.send = send
sys.exit(cli.invoke(sys.argv[2:]))
"""


def killed(folder: ProjFolder, when: str, *argv: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, when, "run", ".", *argv], cwd=folder.path, check=False,
        env=folder.environment(), timeout=60, capture_output=True,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done


# In this order: the Job, its ConfigMap (asked for, then made), its Secret, the start.
@pytest.mark.parametrize("when", ["before-1", "after-1", "before-3", "after-3", "after-4"])
def test_a_client_that_dies_before_the_start_leaves_nothing(
    folder: ProjFolder, namespace: Namespace, when: str
) -> None:
    folder.write({**docker_project("echo never"), "salt": os.urandom(8).hex()})
    killed(folder, when, *options(namespace, endpoint_host=HOST))
    run = last_run(folder)
    assert run["status"] == "KILLED", run
    assert run["failure"] == "lost"
    namespace.until_gone(run["run_id"])


def test_a_client_that_dies_after_the_start_is_replaced(folder: ProjFolder, namespace: Namespace) -> None:
    folder.write({**docker_project(SLOW), "salt": os.urandom(8).hex()})
    killed(folder, "after-5", *options(namespace, endpoint_host=HOST))
    assert last_run(folder)["status"] == "RUNNING"
    eventually(lambda: last_run(folder)["status"] != "RUNNING")
    run = last_run(folder)
    assert (run["status"], run["exit_code"]) == ("FINISHED", 0)
    expected = "".join(f"line {number}\n" for number in range(1, LINES + 1))
    assert folder.process("logs", run["run_id"]).stdout == expected


def test_a_client_that_dies_while_it_follows_is_replaced(folder: ProjFolder, namespace: Namespace) -> None:
    line = SLOW.replace("echo line $i", 'echo line $i; echo "loss: 0.$i"')
    project = json.loads(docker_project(f"{line}; exit 9")["MLproject"])
    folder.write({"MLproject": json.dumps({**project, "proj": {"metrics": "stdout"}})})
    started = folder.start("run", ".", *options(namespace))
    eventually(lambda: "line 3" in started.stdout)
    started.kill()
    eventually(lambda: last_run(folder)["status"] != "RUNNING")
    run = last_run(folder)
    assert (run["status"], run["failure"], run["exit_code"]) == ("FAILED", "user_exit", 9)
    expected = "".join(f"line {number}\nloss: 0.{number}\n" for number in range(1, LINES + 1))
    assert folder.process("logs", run["run_id"]).stdout == expected
    with folder.tracking() as tracking:
        history = tracking.runs.metric_history(run["run_id"], "loss")
    recorded = sorted((point.step, point.value) for point in history)
    assert recorded == [(number - 1, float(f"0.{number}")) for number in range(1, LINES + 1)]


def test_an_interrupt_cancels_the_job(folder: ProjFolder, namespace: Namespace) -> None:
    folder.write(docker_project("echo begun; exec sleep 600"))
    started = folder.start("run", ".", *options(namespace))
    eventually(lambda: "begun" in started.stdout)
    started.signal(signal.SIGINT)
    done = started.finish()
    assert done.code == 130, done
    run = last_run(folder)
    assert (run["status"], run["failure"]) == ("KILLED", "cancelled")
    namespace.until_gone(run["run_id"])


@pytest.fixture
def person(folder: ProjFolder, namespace: Namespace) -> Iterator[Person]:
    """Somebody at a terminal who has just interrupted a run, and is asked what is to become of it."""
    folder.write(docker_project(f"{SLOW}; exit 3"))
    argv = [PROJ, "run", ".", *options(namespace)]
    with contextlib.closing(Person(argv, cwd=folder.path, env=folder.environment())) as found:
        found.sees("line 2")
        found.type("\x03")
        found.sees("[d]etach or [c]ancel?")
        yield found


def test_an_interrupt_at_a_terminal_may_let_the_job_go_on(person: Person, folder: ProjFolder) -> None:
    person.type("what\n")
    person.sees("[d]etach or [c]ancel?")
    person.type("d\n")
    person.sees("goes on as the Job")
    assert person.leaves() == 0
    run = last_run(folder)
    assert run["status"] == "RUNNING"
    assert folder.process("wait", run["run_id"]).code == 3
    expected = "".join(f"line {number}\n" for number in range(1, LINES + 1))
    assert folder.process("logs", run["run_id"]).stdout == expected


@pytest.mark.parametrize("answer", ["c\n", "\x04", "\x03"])
def test_an_interrupt_at_a_terminal_cancels_otherwise(
    person: Person, folder: ProjFolder, namespace: Namespace, answer: str
) -> None:
    person.type(answer)
    assert person.leaves() == 130
    run = last_run(folder)
    assert (run["status"], run["failure"]) == ("KILLED", "cancelled")
    namespace.until_gone(run["run_id"])


def test_a_detached_run_is_followed_and_cancelled(folder: ProjFolder, namespace: Namespace) -> None:
    folder.write(docker_project("echo begun; exec sleep 600"))
    run_id = folder.process("run", ".", "--no-wait", *options(namespace)).stdout.strip()
    eventually(lambda: "begun" in folder.process("logs", run_id).stdout)
    assert folder.process("cancel", run_id).code == 0
    assert folder.process("wait", run_id).code == 143  # the TERM by which it was asked
    namespace.until_gone(run_id)


# --- looked at beforehand -----------------------------------------------------------------------------


def test_a_check_tells_all_at_once_and_creates_nothing(folder: ProjFolder, namespace: Namespace) -> None:
    folder.write(docker_project("true"))
    before = namespace.names("jobs")
    fine = folder.process("check", ".", "-b", "kubernetes", "-c", namespace.config(), "--memory", "64Mi")
    assert (fine.code, "no problems" in fine.stdout) == (0, True), fine
    project = json.loads(docker_project("true {nothing}")["MLproject"])
    project = {**project, "proj": {"secrets": ["PROJ_TEST_NOT_SET"]}, "docker_env": {"image": "No//Name"}}
    folder.write({"MLproject": json.dumps(project)})
    volumes = [{"name": "v", "projected": {"sources": [{"secret": {"name": "projected"}}]}}]
    template = {"kind": "Job", "spec": {"template": {"spec": {"volumes": volumes}}}}
    wrong = namespace.config(
        service_account="nobody", secrets_from=["nothing"], cache_claim="none", kube_job_template=template,
        delivery="image", repository_uri="127.0.0.1:1/away",
    )  # fmt: skip
    done = folder.process("check", ".", "-b", "kubernetes", "-c", wrong, "--queue", "away", "--cpu", "-1")
    assert done.code == 2
    for says in ("`{nothing}` stands for no parameter", "PROJ_TEST_NOT_SET", "No//Name",
                 "127.0.0.1:1 cannot be reached",
                 "Secret nothing", "Secret projected", "ServiceAccount nobody", "LocalQueue away",
                 "refuses the Job"):  # fmt: skip
        assert says in done.stdout, done
    assert namespace.names("jobs") == before


def test_a_check_of_another_context_or_namespace_asks_there(folder: ProjFolder, namespace: Namespace) -> None:
    folder.write(docker_project("true"))
    words = ["check", ".", "-b", "kubernetes", "-n", "proj-test-is-nowhere"]
    done = folder.process(*words, "--context", "proj-test")
    assert (done.code, "proj-test-is-nowhere" in done.stdout) == (2, True), done
    assert "there is no context" in folder.process(*words, "--context", "of-nobody").stdout.lower()
    assert folder.process("check", ".", "--cpu", "1").code == 2


def test_a_check_tells_what_quotas_demand(folder: ProjFolder, namespace: Namespace, tmp_path: Path) -> None:
    """By having the cluster try a pod, where one may create pods; else by what may be seen of quotas."""
    folder.write(docker_project("true"))
    may_look = {"apiGroups": [""], "resources": ["resourcequotas", "limitranges"], "verbs": ["list"]}
    limited = {"KUBECONFIG": str(limited_kubeconfig(namespace, tmp_path, [*RULES, may_look]))}
    words = ["check", ".", "-b", "kubernetes", "-c", namespace.config()]
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "demands"},
             "spec": {"hard": {"limits.memory": "1Gi"}}}  # fmt: skip
    namespace.create("resourcequotas", quota)
    try:
        eventually(lambda: folder.process(*words).code == 2)
        eventually(lambda: folder.process(*words, "--memory", "64Mi").code == 0)  # the quota has been counted
        for env in ({}, limited):
            assert "limits.memory" in folder.process(*words, env=env).stdout
            assert "2Gi" in folder.process(*words, "--memory", "2Gi", env=env).stdout
        assert folder.process(*words, "--memory", "64Mi", env=limited).code == 0
    finally:
        path = namespace.path("resourcequotas")
        namespace.client.send("DELETE", f"{path}/demands", "delete the quota")


def test_a_check_names_missing_rights(folder: ProjFolder, namespace: Namespace, tmp_path: Path) -> None:
    folder.write(docker_project("true"))
    env = {"KUBECONFIG": str(limited_kubeconfig(namespace, tmp_path, RULES[:2]))}
    done = folder.process("check", ".", "-b", "kubernetes", "-c", namespace.config(), env=env)
    assert done.code == 2
    for says in ("get pods/log", "list, watch events", "create, patch, delete configmaps",
                 "create, delete secrets"):  # fmt: skip
        assert says in done.stdout, done
    env = {"KUBECONFIG": str(limited_kubeconfig(namespace, tmp_path, RULES))}
    assert folder.process("check", ".", "-b", "kubernetes", "-c", namespace.config(), env=env).code == 0


def test_a_check_of_a_cluster_that_is_away_says_so(folder: ProjFolder, proxied: Proxy) -> None:
    folder.write(docker_project("true"))
    proxied.away = True
    done = folder.process("check", ".", "-b", "kubernetes")
    assert done.code == 2
    assert "does not answer" in done.stdout


def test_manifests_are_printed_without_secrets(folder: ProjFolder, namespace: Namespace) -> None:
    project = json.loads(docker_project("true")["MLproject"])
    folder.write({"MLproject": json.dumps({**project, "proj": {"secrets": ["API_TOKEN"]}})})
    env = {"API_TOKEN": "canary-canary"}
    done = folder.process("run", ".", *options(namespace), "--dry-run", "-o", "yaml", env=env)
    assert done.code == 0, done
    kinds = [each["kind"] for each in yaml.safe_load_all(done.stdout)]
    assert kinds == ["Job", "ConfigMap", "Secret"]
    assert "canary" not in done.stdout + done.stderr
    assert "API_TOKEN" in done.stdout


@pytest.mark.network
def test_the_example_runs_as_with_mlflow(folder: ProjFolder, namespace: Namespace) -> None:
    example = shutil.copytree(Path(__file__).parents[2] / "examples" / "kubernetes", folder.path / "example")
    done = folder.process(
        "run", ".", "--backend", "kubernetes", "--backend-config", "kubernetes_config.json",
        "-n", namespace.name, "--base-image", IMAGE, cwd=example,
    )  # fmt: skip
    assert done.code == 0, done
    (job,) = [each for each in namespace.jobs() if (each.metadata.labels or {}).get("team") == "research"]
    assert job.metadata.name.startswith("kubernetes-")
    assert last_run(folder)["metrics"]["loss"] == 0.03125
