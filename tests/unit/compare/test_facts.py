from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from comparekit import HOST, not_same
from proj import paths
from proj.compare import RunFacts, compare, read_facts
from proj.compare.facts import SourceFacts
from proj.compare.portable import portable_line
from proj.compare.rows import Status
from proj.model import BoundParameter, Metric, ParameterKind
from proj.record import CommandRecord
from proj.tracking import open_tracking
from proj.tracking.inputs import ModelOutput
from proj.tracking.logged_models import NewLoggedModel
from projkit import ProjFolder, local_environment, write
from records import record_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.model import RunRecord
    from proj.tracking import Tracking

PROJECT = """name: demo
entry_points:
  main:
    parameters: {data: path, n: {type: int, default: 2}}
    command: "cat {data}; echo {n}; echo x > $PROJ_ARTIFACTS/x"
"""


@pytest.fixture
def tracking() -> Iterator[Tracking]:
    with open_tracking(paths.home()) as opened:
        yield opened


def test_all_that_a_run_recorded(folder: ProjFolder) -> None:
    folder.write({"MLproject": PROJECT, "data.txt": "1\n"})
    assert folder.run("run", ".", "-P", "data=data.txt", "--env-manager", "local").code == 0
    with folder.tracking() as tracking:
        found = read_facts(tracking, folder.the_run())
    assert (found.status, found.exit_code, found.failure) == ("FINISHED", 0, None)
    assert found.command == "cat {data}; echo 2; echo x > $PROJ_ARTIFACTS/x"
    assert found.params == {"data": "data.txt", "n": "2"}
    assert found.given == {"data", "n"}
    assert found.inputs is not None
    assert found.inputs["data"].digest is not None
    assert found.host is not None
    assert found.python is not None
    assert found.python.startswith(("CPython", "PyPy"))
    assert found.packages
    assert found.source is not None
    assert found.source.tree is not None
    assert set(found.artifacts) == {"x"}
    assert found.variables_set is not None
    assert "PROJ_RUN_ID" in found.variables_set


def test_packages_are_those_of_the_lock(folder: ProjFolder) -> None:
    folder.write(
        {"MLproject": "name: demo\npython_env: python_env.yaml\nentry_points: {main: {command: 'true'}}\n"}
    )
    folder.write(local_environment())
    assert folder.run("run", ".").code == 0
    with folder.tracking() as tracking:
        found = read_facts(tracking, folder.the_run())
    assert found.packages is not None
    assert found.packages["tiny"].version == "1.0"
    assert found.packages["tiny"].files is not None
    assert found.lock_digest is not None


LOCK = '[[packages]]\nname = "mylib"\ndirectory = {{ path = "{}" }}\n'


def run_with_package(
    tracking: Tracking, *, locked: str | None = None, installed: str | None = None
) -> RunFacts:
    """A run in /tree/sub that has a package from somewhere."""
    package = {"name": "mylib", "version": "1", **({"source": installed} if installed else {})}
    documents: dict[str, object] = {
        "source": {"uri": "/tree/sub", "kind": "local", "subdir": "sub"},
        "command": {"line": "true", "argv": [], "cwd": "/tree/sub", "variables": [], "parameters": []},
        "environment": {
            "lock": "proj/environment/pylock.toml" if locked else None,
            "facts": {"python_version": "3.11.7", "packages": [package]},
        },
    }
    files = {f"proj/{name}.json": json.dumps(value).encode() for name, value in documents.items()}
    if locked:
        files["proj/environment/pylock.toml"] = LOCK.format(locked).encode()
    return read_facts(tracking, record_run("run", files=files))


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({"locked": "."}, True),
        ({"locked": "../lib"}, True),
        ({"locked": "../../lib"}, False),
        ({"locked": "/tree2"}, False),
        ({"installed": "-e /tree/lib"}, True),
        ({"installed": "-e /lib"}, False),
        ({"installed": "/tree/lib"}, False),
        ({"installed": "https://host/mylib.whl"}, False),
        ({"installed": "git+https://host/mylib@5f"}, True),
        ({}, True),
    ],
)
def test_packages_from_outside_of_the_tree_are_not_said_to_be_the_same(
    tracking: Tracking, options: dict[str, str], *, known: bool
) -> None:
    one, other = run_with_package(tracking, **options), run_with_package(tracking, **options)
    found = not_same(compare(one, other))
    assert ("packages/mylib" not in found) is known
    if not known:
        assert found["packages/mylib"].status is Status.NOT_COMPARABLE


def test_a_run_without_path_parameters_has_no_inputs(folder: ProjFolder) -> None:
    folder.write({"MLproject": "name: demo\nentry_points: {main: {command: 'true'}}\n"})
    assert folder.run("run", ".").code == 0
    with folder.tracking() as tracking:
        assert read_facts(tracking, folder.the_run()).inputs == {}


def test_a_record_by_another_client_lacks_things(tracking: Tracking) -> None:
    tags = {
        "mlflow.source.git.commit": "1" * 40,
        "mlflow.source.git.repoURL": "https://host/repo",
        "mlflow.docker.image.id": "sha256:1",
    }
    found = read_facts(tracking, record_run("other", tags=tags, params={"a": "1"}))
    assert found.source is not None
    assert (found.source.commit, found.source.dirty, found.source.tree) == ("1" * 40, None, None)
    assert (found.host, found.packages, found.inputs, found.command, found.python) == (None,) * 5
    assert found.image == "sha256:1"
    assert found.given == frozenset()


@pytest.mark.parametrize(
    ("tags", "image"),
    [
        ({"mlflow.docker.image.uri": "x:1"}, None),
        ({"mlflow.docker.image.uri": "x@sha256:2"}, "sha256:2"),
        ({"mlflow.docker.image.uri": "x@sha256:2", "proj.image": "sha256:1"}, "sha256:1"),
    ],
)
def test_a_name_is_no_image(tracking: Tracking, tags: dict[str, str], image: str | None) -> None:
    found = read_facts(tracking, record_run("named", tags=tags))
    assert (found.image, found.image_name) == (image, tags["mlflow.docker.image.uri"])


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": "new"}', b"\xff"])
def test_damaged_files_are_as_if_they_were_not_there(tracking: Tracking, content: bytes) -> None:
    names = ("source", "command", "environment", "host", "inputs")
    run = record_run("odd", files={f"proj/{name}.json": content for name in names})
    found = read_facts(tracking, run)
    assert (found.host, found.command, found.packages, found.inputs) == (None,) * 4


def with_model(tracking: Tracking, run: RunRecord, weights: bytes) -> RunFacts:
    made = tracking.logged_models.create_logged_model(
        NewLoggedModel(experiment_id=run.experiment_id, name="net", source_run_id=run.run_id)
    )
    tracking.inputs.log_outputs(run.run_id, (ModelOutput(model_id=made.model_id),))
    tracking.artifacts.write(made.artifact_location, "weights", weights)
    return read_facts(tracking, run)


def test_files_of_logged_models_are_artifacts_below_the_models_name(tracking: Tracking) -> None:
    one = with_model(tracking, record_run("one"), b"1")
    same = with_model(tracking, record_run("same"), b"1")
    other = with_model(tracking, record_run("other"), b"2")
    assert one.artifacts == {"net/weights": 1}
    assert set(not_same(compare(one, same))) == {"code/tree"}
    assert set(not_same(compare(one, other))) == {"code/tree", "artifacts/net/weights"}


def test_series_come_from_the_store(tracking: Tracking) -> None:
    runs = [record_run(name) for name in ("one", "other")]
    for run, first in zip(runs, (0.5, 0.75), strict=True):
        points = [
            Metric(key="loss", value=value, timestamp_ms=step, step=step)
            for step, value in enumerate((first, 0.25))
        ]
        tracking.runs.log(run.run_id, metrics=points)
    one, other = (read_facts(tracking, tracking.runs.run(run.run_id)) for run in runs)
    row = not_same(compare(one, other))["metrics/loss"]
    assert row.reason == "the last value is the same; the values differ from step 0 on"


def test_a_blank_in_a_path_makes_no_other_command(
    folder: ProjFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both names of the project's folder, once as an input and once in a text of the command."""
    for name in ("plain", "my own"):
        project = folder.base / name / "project"
        command = "cat {data} '{data}' && echo {data}.x {here} {here}/sub"
        write(
            project,
            {
                "MLproject": PROJECT.replace("cat {data};", f"{command};").replace(
                    "n: {", "here: string, n: {"
                ),
                "the data.txt": "1\n",
            },
        )
        monkeypatch.chdir(project)
        given = ("-P", "data=the data.txt", "-P", f"here={project}/x")
        assert folder.run("run", ".", *given, "--env-manager", "local").code == 0
    with folder.tracking() as tracking:
        found = [read_facts(tracking, run) for run in folder.runs()]
    assert found[0].command == found[1].command
    assert set(not_same(compare(found[0], found[1]))) <= {"parameters/here", "code/tree"}


def ran(line: str, cwd: str, *parameters: BoundParameter) -> bytes:
    return msgspec.json.encode(
        CommandRecord(line=line, argv=(), cwd=cwd, variables=(), parameters=parameters)
    )


def bound(value: str) -> BoundParameter:
    return BoundParameter(name="data", given="d", value=value, kind=ParameterKind.PATH)


@pytest.mark.parametrize(
    ("line", "cwd", "value", "portable"),
    [
        ("f '/my data/x'", "/p", "/my data/x", "f {data}"),
        ("f /data/x", "/p", "/data/x", "f {data}"),
        ("f '/data/x'", "/p", "/data/x", "f {data}"),
        ("f '/my data/x'.y", "/p", "/my data/x", "f {data}.y"),
        ('f "/a\\$b/x"', "/p", "/a$b/x", 'f "{data}"'),
        (r"f '/it'\''s/x'", "/p", "/it's/x", "f {data}"),
        ("f '/my p/x.py'", "/my p", "/d", "f ./x.py"),
        ("f '/my p'/x.py", "/my p", "/d", "f ./x.py"),
        ("f '/my p'", "/my p", "/d", "f ."),
        ("f /p/x.py /p2 /p.bak /p", "/p", "/d", "f ./x.py /p2 /p.bak ."),
        ("f '/my p/a b'", "/my p", "/d", "f './a b'"),
    ],
)
def test_paths_are_named_with_their_quotes(line: str, cwd: str, value: str, portable: str) -> None:
    command = msgspec.json.decode(ran(line, cwd, bound(value)), type=CommandRecord)
    assert portable_line(command) == portable


def test_folders_that_a_program_logged_are_the_same_elsewhere(tracking: Tracking) -> None:
    found = []
    for place in ("/home/ada", "/cache/my checkout"):
        cwd = f"{place}/repo/sub"
        logged = {
            "cwd": cwd,
            "top": f"{place}/repo",
            "model": f"{cwd}/model.pkl",
            "source": f"{place}/d.csv",
            "other": "/repo",
            "data": cwd,
        }
        files = {
            "proj/command.json": ran("f", cwd, bound(f"{place}/d.csv")),
            "proj/source.json": msgspec.json.encode(SourceFacts(subdir="sub")),
        }
        found.append(read_facts(tracking, record_run("one", params=logged, files=files)))
    assert found[0].params == {
        "cwd": ".", "top": "..", "model": "./model.pkl", "source": "{data}", "other": "/repo", "data": "d",
    }  # fmt: skip
    assert found[0].params == found[1].params


def test_older_records_lack_inputs_and_variables(tracking: Tracking) -> None:
    host = msgspec.to_builtins(HOST)
    del host["variables"]
    files = {"proj/host.json": msgspec.json.encode(host), "proj/command.json": ran("f", "/p", bound("/d"))}
    old = read_facts(tracking, record_run("old", files=files))
    assert (old.inputs, old.variables) == (None, None)
    assert old.paths == {"data"}
    assert old.host is not None
    assert {"inputs/data", "variables/values"} <= set(not_same(compare(old, old)))
    new = record_run("new", files={"proj/host.json": msgspec.json.encode(HOST)})
    assert read_facts(tracking, new).variables == {"PYTHONHASHSEED": "0"}


def test_settings_of_the_backend_are_told_one_by_one(tracking: Tracking) -> None:
    settings = {"cpu": 2, "labels": {"team": "a"}, "tolerations": [{"key": "gpu"}], "security": "image"}
    command = {
        "line": "true", "argv": [], "cwd": "/", "variables": [], "parameters": [],
        "backend_config": settings, "timeout_s": 90.0,
    }  # fmt: skip
    run = record_run("run", files={"proj/command.json": json.dumps(command).encode()})
    found = read_facts(tracking, run)
    assert found.timeout == "90 s"
    assert found.backend_settings == {
        "cpu": "2", "labels.team": "a", "tolerations": '[{"key":"gpu"}]', "security": "image"
    }  # fmt: skip
