"""`proj run` as people type it: every option, what goes to which stream, and what is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from proj import record
from projkit import ProjFolder, bare_repository, echo_project

TRAIN = """
name: demo
entry_points:
  train:
    parameters:
      alpha: {type: float, default: 0.5, min: 0, max: 1, description: strength of the penalty}
      mode: {type: choice, choices: [fast, exact], default: fast}
      data: path
    command: "echo {alpha} {mode} {data}"
  test:
    command: "echo test"
"""
GREET = """
name: greetings
entry_points:
  main:
    parameters: {greeting: {default: hello}, name: {type: str, default: you}}
    command: "printf '%s|' {greeting} {name}"
"""


# --- parameters ---------------------------------------------------------------------------------------


def test_values_arrive_as_given(folder: ProjFolder) -> None:
    folder.write({"MLproject": GREET})
    value = "a=b $(touch hacked) `x` \"'\\ é"
    result = folder.run("run", ".", "-P", f"name={value}", "--param-list", "greeting=", "-P", "extra=1 2")
    assert (result.code, result.stdout) == (0, f"|{value}|--extra|1 2|"), result
    assert folder.the_run().params == {"greeting": "", "name": value, "extra": "1 2"}
    assert not (folder.path / "hacked").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [("p.yaml", "greeting: hi\nname: 007\n"), ("p.json", '{"greeting": "hi", "name": "007"}')],
)
def test_parameters_from_a_file(folder: ProjFolder, name: str, text: str) -> None:
    folder.write({"MLproject": GREET, name: text})
    assert folder.run("run", ".", "--params", name, "-P", "greeting=bye").stdout == "bye|007|"
    assert folder.the_run().params == {"greeting": "bye", "name": "007"}


# --- where --------------------------------------------------------------------------------------------


def test_an_entry_point_by_name_and_a_script_by_path(folder: ProjFolder) -> None:
    folder.write({"MLproject": TRAIN, "tool.py": "import sys; print(sys.argv[1:])", "tool.sh": "echo $1 $2"})
    assert folder.run("run", ".", "-e", "test").stdout == "test\n"
    assert folder.run("run", ".", "--entry-point", "tool.py", "-P", "x=1").stdout == "['--x', '1']\n"
    assert folder.run("run", ".", "-e", "tool.sh", "-P", "x=1").stdout == "--x 1\n"
    points = [run.tags["mlflow.project.entryPoint"] for run in folder.runs()]
    assert points == ["tool.sh", "tool.py", "test"]


def test_the_only_entry_point_is_run_and_named(folder: ProjFolder) -> None:
    folder.write({"MLproject": "entry_points: {train: {command: echo trained}}"})
    result = folder.run("run", ".")
    assert (result.code, result.stdout) == (0, "trained\n")
    assert [line for line in result.lines if line.startswith("note:") and "train" in line]


def test_a_version_of_a_repository(folder: ProjFolder) -> None:
    url, commit = bare_repository(folder, {"sub/dir.d/MLproject": echo_project("pwd; ls"), "x": "y"})
    result = folder.run("run", f"'{url}#sub/dir.d'", "--version", commit[:8])
    assert result.code == 0, result
    shown, listed = result.stdout.splitlines()
    assert listed == "MLproject"
    assert shown.startswith(str(folder.cache))
    assert [line for line in result.lines if line.startswith(f"=== Fetching project from {url}")]
    run = folder.the_run()
    assert run.tags["mlflow.source.git.commit"] == commit
    assert run.tags["mlflow.project.version"] == commit[:8]
    assert run.tags["mlflow.source.name"] == f"{url}#sub/dir.d"
    folder.clean()


def test_a_private_checkout_stays_when_it_is_asked_for_and_after_a_failure(folder: ProjFolder) -> None:
    url, _ = bare_repository(folder, {"MLproject": echo_project("exit $CODE")})
    kept = folder.process("run", url, "--keep", env={"CODE": "0"})
    failed = folder.process("run", url, env={"CODE": "4"})
    assert (kept.code, failed.code) == (0, 4)
    for result in (kept, failed):
        (line,) = [line for line in result.lines if "is kept" in line]
        assert (Path(line.split(": ", 2)[2]) / "MLproject").is_file()


def test_a_version_of_the_users_own_repository_leaves_it_alone(folder: ProjFolder) -> None:
    _, commit = bare_repository(folder, {"MLproject": echo_project("cat data"), "data": "old\n"})
    made = folder.base / "made"
    (made / "data").write_text("new\n")
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    result = folder.run("run", str(made), "-v", commit)
    assert (result.code, result.stdout) == (0, "old\n"), result
    assert folder.run("run", str(made)).stdout == "new\n"
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before
    dirty, clean = folder.runs()
    assert (clean.tags["mlflow.source.git.dirty"], dirty.tags["mlflow.source.git.dirty"]) == ("false", "true")


# --- what is recorded -----------------------------------------------------------------------------------


def test_experiments(folder: ProjFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write({"MLproject": GREET})
    assert folder.run("run", ".").code == 0
    assert folder.run("run", ".", "--experiment-name", "mine").code == 0
    mine = folder.runs()[0].experiment_id
    assert folder.run("run", ".", "--experiment-id", mine).code == 0
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "from the variable")
    assert folder.run("run", ".").code == 0
    with folder.tracking() as tracking:
        names = {found.experiment_id: found.name for found in tracking.runs.experiments()}
    assert [names[run.experiment_id] for run in folder.runs()] == [
        "from the variable",
        "mine",
        "mine",
        "greetings",
    ]


def test_an_existing_run_and_names_and_tags(folder: ProjFolder) -> None:
    folder.write({"MLproject": GREET})
    assert folder.run("run", ".", "--run-name", "first try", "--tag", "team=a=b").code == 0
    run = folder.the_run()
    assert (run.run_name, run.tags["mlflow.runName"], run.tags["team"]) == ("first try", "first try", "a=b")
    again = folder.run("run", ".", "--run-id", run.run_id)
    assert again.code == 0, again
    assert folder.the_run().run_id == run.run_id
    conflict = folder.run("run", ".", "--run-id", run.run_id, "-P", "name=other")
    assert conflict.code == 2
    assert "name" in conflict.stderr
    assert not folder.under_way()


def test_tags_and_artifacts(folder: ProjFolder) -> None:
    command = "echo made > $PROJ_ARTIFACTS/by-hand.txt; mkdir out; echo a > out/a.txt; echo m > model"
    folder.write({"MLproject": "proj: {outputs: ['out/*.txt', model]}\n" + echo_project(command)})
    assert folder.run("run", ".", "-q").code == 0
    run = folder.the_run()
    assert folder.artifact(run, "by-hand.txt") == b"made\n"
    assert folder.artifact(run, "out/a.txt") == b"a\n"
    assert folder.artifact(run, "model") == b"m\n"
    with folder.tracking() as tracking:
        names = {found.path for found in tracking.artifacts.list(run.artifact_uri)}
    assert names == {"by-hand.txt", "out", "model", "proj"}
    assert run.tags["mlflow.source.type"] == "PROJECT"
    assert run.tags["mlflow.source.name"] == str(folder.path)
    assert run.tags["mlflow.project.backend"] == "local"
    assert run.tags[record.TAG_EXIT_CODE] == "0"


def test_an_output_that_is_a_link_out_of_the_project_is_refused(folder: ProjFolder) -> None:
    (folder.base / "secret").write_text("secret")
    command = "ln -s ../secret link; ln -s .. up; echo fine > file"
    folder.write({"MLproject": "proj: {outputs: [link, 'up/secret', file]}\n" + echo_project(command)})
    result = folder.run("run", ".")
    assert result.code == 0, result
    run = folder.the_run()
    assert folder.artifact(run, "file") == b"fine\n"
    assert [line for line in result.lines if line.startswith("warning:") and "link" in line]
    stored = [path for path in (folder.home / "artifacts").rglob("*") if path.is_file()]
    assert not [path for path in stored if b"secret" in path.read_bytes() and "proj" not in path.parts[-2]]


def test_metrics_from_stdout(folder: ProjFolder) -> None:
    lines = "echo 'loss: 0.5 (step 1)'; echo 'loss: 0.25 (step 2)'; echo 'time: 12:30'; echo 'f1 = 1e-3'"
    folder.write({"MLproject": "proj: {metrics: stdout}\n" + echo_project(lines)})
    assert folder.run("run", ".").code == 0
    metrics = folder.the_run().metrics
    assert (metrics["loss"].value, metrics["loss"].step) == (0.25, 2)


# --- streams and exit codes -----------------------------------------------------------------------------


def test_streams_are_untouched_byte_for_byte(folder: ProjFolder) -> None:
    out, err = bytes(range(256)) * 500, b"\x00\xff\r\n\x1b[31m" * 1000 + b"no newline"
    folder.write({"MLproject": echo_project("cat out; cat err >&2"), "out": out, "err": err})
    result = folder.process("run", ".", "--env-manager", "local")
    assert result.code == 0
    assert result.out == out
    assert err in result.err
    rest = result.err.replace(err, b"").decode().splitlines()
    run = folder.the_run()
    assert rest == [
        f"=== Running command 'cat out; cat err >&2' in run with ID '{run.run_id}' ===",
        f"=== Run (ID '{run.run_id}') succeeded ===",
    ]
    assert folder.artifact(run, "proj/stdout.log") == out
    assert folder.artifact(run, "proj/stderr.log") == err
    shown = folder.process("logs", run.run_id)
    assert (shown.out, shown.err) == (out, err)


def test_quiet_hides_and_keeps(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("echo out; echo err >&2")})
    result = folder.run("run", ".", "--quiet")
    assert (result.code, result.out, result.err) == (0, b"", b"")
    assert folder.artifact(folder.the_run(), "proj/stdout.log") == b"out\n"
    assert folder.artifact(folder.the_run(), "proj/stderr.log") == b"err\n"


@pytest.mark.parametrize("code", [1, 2, 77, 125, 255])
def test_the_exit_code_is_the_programs(folder: ProjFolder, code: int) -> None:
    folder.write({"MLproject": echo_project(f"exit {code}")})
    result = folder.run("run", ".")
    assert result.code == code
    run = folder.the_run()
    assert f"=== Run (ID '{run.run_id}') failed ===" in result.stderr
    assert (run.status.value, run.tags[record.TAG_FAILURE]) == ("FAILED", "user_exit")
    assert run.tags[record.TAG_EXIT_CODE] == str(code)


def test_json_carries_all_that_scripts_need(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("echo noise; exit 3")})
    result = folder.run("run", ".", "--json")
    assert result.code == 3
    assert result.json["ok"] is False
    data = result.json["data"]
    assert (data["status"], data["exit_code"], data["run_id"]) == ("FAILED", 3, folder.the_run().run_id)
    assert (data["outcome"]["failure"], data["outcome"]["exit_code"]) == ("user_exit", 3)
    assert "exit code 3" in data["outcome"]["message"]


# --- without running ------------------------------------------------------------------------------------


def test_a_dry_run_starts_and_records_nothing(folder: ProjFolder) -> None:
    folder.write({"MLproject": GREET.replace("printf", "touch started; printf")})
    result = folder.run("run", ".", "--dry-run", "-P", "name=a b", "--json")
    assert result.code == 0, result
    data = result.json["data"]
    assert data["command"] == "touch started; printf '%s|' hello 'a b'"
    assert data["parameters"] == {"greeting": "hello", "name": "a b"}
    assert data["environment"]["built"] is True
    assert {"PROJ_RUN_ID", "PROJ_ARTIFACTS"} <= set(data["variables"])
    text = folder.run("run", ".", "--dry-run").stdout
    assert "touch started" in text
    url, _ = bare_repository(folder, {"MLproject": echo_project("touch started")})
    assert folder.run("run", url, "--dry-run").code == 0
    assert not (folder.path / "started").exists()
    assert folder.runs() == ()
    assert not folder.home.exists()
    folder.clean()


def test_the_help_of_an_entry_point(folder: ProjFolder) -> None:
    folder.write({"MLproject": TRAIN})
    text = folder.run("run", ".", "-e", "train", "--help").stdout
    for word in (
        "alpha",
        "float",
        "0.5",
        "strength of the penalty",
        "at least 0",
        "fast, exact",
        "(required)",
    ):
        assert word in text
    assert "Entry point test" not in text
    both = folder.run("run", ".", "--help").stdout
    assert "Entry point train" in both
    assert "Entry point test" in both
    assert folder.runs() == ()


def test_help_without_a_project_lists_the_options(folder: ProjFolder) -> None:
    text = folder.run("run", "--help").stdout
    for option in ("--entry-point", "--version", "--param-list", "--docker-args", "--experiment-name",
                   "--experiment-id", "--backend", "--backend-config", "--env-manager", "--storage-dir",
                   "--run-id", "--run-name", "--build-image", "--params", "--dry-run", "--no-wait",
                   "--timeout", "--grace", "--as-of", "--locked", "--frozen", "--upgrade",
                   "--offline"):  # fmt: skip
        assert option in text


# --- what the program finds -----------------------------------------------------------------------------


def test_variables(folder: ProjFolder) -> None:
    folder.write({"MLproject": echo_project("env")})
    result = folder.run("run", ".", "--experiment-name", "mine")
    found = dict(line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)
    run = folder.the_run()
    assert found["PROJ_RUN_ID"] == run.run_id
    assert found["PROJ_HOME"] == str(folder.home)
    assert Path(found["PROJ_ARTIFACTS"]).is_dir()
    assert found["PWD"] == str(folder.path)
    written = folder.artifact(run, record.COMMAND).decode()
    assert "PROJ_RUN_ID" in written
    assert found["PROJ_HOME"] not in written.replace(str(folder.path), "")


def test_an_env_file_fills_gaps(folder: ProjFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write(
        {"MLproject": echo_project("echo $FIRST $SECOND"), "my.env": "FIRST=file\nexport SECOND='a b'\n"}
    )
    monkeypatch.setenv("FIRST", "shell")
    monkeypatch.delenv("SECOND", raising=False)
    result = folder.process("--env-file", "my.env", "run", ".")
    assert (result.code, result.stdout) == (0, "shell a b\n"), result


def test_downloads_of_path_parameters(folder: ProjFolder) -> None:
    folder.write({"MLproject": TRAIN, "data.txt": "x", "here/there": ""})
    uri = (folder.path / "data.txt").as_uri()
    result = folder.run(
        "run", ".", "-e", "train", "-P", f"data={uri}", "--storage-dir", str(folder.base / "store")
    )
    assert result.code == 0, result
    local = Path(result.stdout.split()[-1])
    assert local.read_text() == "x"
    assert folder.the_run().params["data"] == uri
    relative = folder.run("run", ".", "-e", "train", "-P", "data=data.txt")
    assert relative.stdout.split()[-1] == str(folder.path / "data.txt")
    folder.clean()


def test_what_mlflow_users_type(folder: ProjFolder) -> None:
    folder.write(
        {"MLproject": GREET, "requirements.txt": "no-such-package-of-anybody", "backend.json": '{"a": 1}'}
    )
    arguments = ("--no-conda", "-b", "local", "-c", "backend.json", "--skip-image-build")
    result = folder.run("run", ".", *arguments, "-P", "name=me")
    assert (result.code, result.stdout) == (0, "hello|me|"), result
    assert folder.run("run", ".", "--env-manager=local", "-c", '{"a": 1}').code == 0
    assert folder.runs()[0].tags["mlflow.project.env"] == "local"


def test_the_version(folder: ProjFolder) -> None:
    assert folder.run("--version").stdout.startswith("proj ")
    assert folder.run("version", "--json").json["ok"] is True
