from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proj import projectfile
from proj.errors import SourceError
from proj.model import (
    DockerBuild,
    Extensions,
    Parameter,
    ParameterKind,
    Position,
    Project,
    Severity,
    Tolerance,
    Verification,
)
from proj.projectfile import ProjectInvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECTS = Path(__file__).parents[2] / "projects"
FILE = Path("/somewhere/MLproject")


def parse(text: str | bytes, *, strict: bool = False) -> Project:
    data = text.encode() if isinstance(text, str) else text
    return projectfile.parse(data, file=FILE, strict=strict)


def parameters(declarations: str) -> tuple[Parameter, ...]:
    project = parse(f"entry_points:\n  main:\n    parameters:\n{declarations}\n    command: x\n")
    return project.entry_points[0].parameters


def default(written: str) -> str | None:
    return parameters(f"      p: {{default: {written}}}")[0].default


# --- finding --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["MLproject", "mlproject", "MLPROJECT", "MLproject.yaml", "mlproject.yml"])
def test_the_file_is_found_in_any_letter_case(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("name: x\n")
    (tmp_path / "MLproject.txt").write_text("no project file\n")
    project = projectfile.load(tmp_path)
    assert (project.name, project.file) == ("x", tmp_path / name)


def test_a_folder_of_that_name_is_no_project_file(tmp_path: Path) -> None:
    (tmp_path / "mlproject").mkdir()
    (tmp_path / "MLproject").write_text("name: x\n")
    assert projectfile.load(tmp_path).name == "x"


def test_mlflows_own_name_wins(tmp_path: Path) -> None:
    (tmp_path / "MLproject").write_text("name: a\n")
    (tmp_path / "MLproject.yaml").write_text("name: b\n")
    assert projectfile.load(tmp_path).name == "a"


def test_two_files_of_one_rank_are_an_error_that_names_both(tmp_path: Path) -> None:
    (tmp_path / "MLproject").write_text("name: a\n")
    (tmp_path / "mlproject").write_text("name: b\n")
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("the file system takes the two names for one")
    with pytest.raises(ProjectInvalidError, match="MLproject and mlproject both claim"):
        projectfile.load(tmp_path)


def test_a_folder_without_a_file_is_a_project_without_entry_points(tmp_path: Path) -> None:
    assert projectfile.load(tmp_path) == Project(name=None, directory=tmp_path, file=None)


def test_a_missing_folder_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="Cannot read the project's folder"):
        projectfile.load(tmp_path / "none")


@pytest.fixture
def _no_superuser() -> Iterator[None]:
    """Be nobody meanwhile, since root reads everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.usefixtures("_no_superuser")
def test_an_unreadable_file_is_a_source_error() -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "MLproject").touch(mode=0)
        with pytest.raises(SourceError, match="Permission denied"):
            projectfile.load(Path(folder))


# --- values ---------------------------------------------------------------------------------------------


def test_the_classic_project() -> None:
    project = projectfile.load(PROJECTS / "classic")
    assert project.name == "wine"
    assert project.diagnostics == ()
    assert project.environment is not None
    assert (project.environment.kind, project.environment.file) == ("python_env", "python_env.yaml")
    main, validate = project.entry_points
    assert (main.name, main.command) == ("main", "python train.py {alpha} {l1_ratio}")
    assert main.position == Position(line=10, column=15)
    assert main.parameters[0] == Parameter(
        name="alpha",
        kind=ParameterKind.FLOAT,
        declared_type="float",
        default="0.5",
        position=Position(line=8, column=7),
    )
    assert [(p.kind, p.default) for p in validate.parameters] == [
        (ParameterKind.PATH, None),
        (ParameterKind.URI, None),
    ]


def test_the_extension_keys() -> None:
    project = projectfile.load(PROJECTS / "extensions")
    assert project.extensions == Extensions(
        quoting="mlflow",
        outputs=("plots/*.png", "report.html"),
        metrics="stdout",
        verify=Verification(
            ignore=("*.log", "plots"),
            rtol=1e-6,
            metrics={"loss": Tolerance(rtol=0.001, atol=0.0), "*_seconds": Tolerance(ignore=True)},
        ),
    )
    rate, optimizer, verbose, layers, settings = project.entry_points[0].parameters
    assert (rate.minimum, rate.maximum, rate.description, rate.default) == (0.0, 1.0, "Step size.", "1e-3")
    assert optimizer.choices == ("sgd", "adam")
    assert (verbose.kind, verbose.default) == (ParameterKind.BOOLEAN, "False")
    assert (layers.kind, layers.default) == (ParameterKind.LIST, "[64, 32]")
    assert (settings.kind, settings.default) == (ParameterKind.JSON, "{}")


def test_a_docker_environment() -> None:
    declared = projectfile.load(PROJECTS / "docker").environment
    assert declared is not None
    assert declared.docker is not None
    assert declared.docker.image == "python:3.12-slim"
    assert declared.docker.volumes == ("/data:/data", "$(pwd)/out:/out")
    assert declared.docker.environment == (("MODE", "test"), ("PATH", None), ("HOME", None), ("PORT", "8080"))


def test_merge_keys_bring_parameters_in() -> None:
    main, other = projectfile.load(PROJECTS / "anchors").entry_points
    assert [p.name for p in main.parameters] == ["alpha"]
    assert [p.name for p in other.parameters] == ["alpha", "beta"]
    assert other.command == "echo {alpha} {beta}"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("0.10", "0.1"),
        ("1e-3", "1e-3"),
        ("1.0e-3", "0.001"),
        ("010", "8"),
        ("1:30", "90"),
        ("1_000", "1000"),
        ("true", "True"),
        ("no", "False"),
        ("2024-01-31", "2024-01-31"),
        (".inf", "inf"),
        ("'0.10'", "0.10"),
        ('""', ""),
        ("None", "None"),
        ("[1, a]", "[1, 'a']"),
        ("{a: 1.50}", "{'a': 1.5}"),
        ("'{x.y}'", "{x.y}"),
        ("!!str 5", "5"),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_a_default_is_the_text_that_mlflow_makes_of_it(written: str, text: str | None) -> None:
    assert default(written) == text


def test_the_last_of_two_equal_keys_wins_as_in_mlflow() -> None:
    project = projectfile.load(PROJECTS / "duplicate-keys")
    assert project.entry_points[0].parameters[0].default == "0.7"
    assert [d.code for d in project.diagnostics] == ["duplicate-key"]


def test_names_that_yaml_takes_for_other_things() -> None:
    project = projectfile.load(PROJECTS / "number-names")
    assert project.name == "2024-01-31"
    assert [point.name for point in project.entry_points] == ["1", "main"]
    assert project.entry_points[1].parameters[0].name == "False"  # as in mlflow; the file is warned about


def test_an_unknown_type_means_string() -> None:
    declared = parameters("      a: list[float]\n      b: {type: Path}\n      c: {type: }")
    assert [(p.kind, p.declared_type) for p in declared] == [
        (ParameterKind.STRING, "list[float]"),
        (ParameterKind.STRING, "Path"),
        (ParameterKind.STRING, "None"),
    ]


@pytest.mark.parametrize(
    ("command", "line", "column"),
    [
        ("python t.py", 3, 14),
        ('"python t.py"', 3, 15),
        ("|\n\n      python t.py", 5, 7),
        (">-\n     python t.py\n     --b", 4, 6),
    ],
)
def test_the_position_of_a_command_is_that_of_its_text(command: str, line: int, column: int) -> None:
    project = parse(f"entry_points:\n  main:\n    command: {command}\n")
    assert project.entry_points[0].position == Position(line=line, column=column)


@pytest.mark.parametrize("nothing", ["", "null", "{}", '""', "[]", "false"])
def test_an_environment_that_is_nothing_is_none(nothing: str) -> None:
    text = f"python_env: {nothing}\nconda_env: {nothing}\ndocker_env: {nothing}\nentry_points:\n"
    assert parse(text).environment is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_of_any_unicode_encoding(encoding: str) -> None:
    assert parse("name: größe\r\n".encode(encoding)).name == "größe"


# --- errors ---------------------------------------------------------------------------------------------


def test_an_error_shows_place_line_caret_and_fix() -> None:
    with pytest.raises(ProjectInvalidError) as caught:
        parse("name: x\nentry_points:\n  main: [a]\n")
    assert caught.value.message == (
        "The project file /somewhere/MLproject has an error:\n"
        "/somewhere/MLproject:3:9: error: entry point `main` must be a mapping, not a list\n"
        "      main: [a]\n"
        "            ^\n"
        '    fix: Write `main: {command: "…"}`.'
    )
    assert (caught.value.code, caught.value.exit_code) == ("project_invalid", 125)


def test_all_errors_are_told_at_once_in_the_order_of_the_file() -> None:
    with pytest.raises(ProjectInvalidError) as caught:
        projectfile.load(PROJECTS / "wrong-types")
    lines = [d.position.line for d in caught.value.diagnostics if d.position is not None]
    assert len(lines) > 10
    assert lines == sorted(lines)


def test_unknown_keys_warn_and_are_errors_when_strict() -> None:
    text = "entry_point: {}\nname: x\n"
    (warning,) = parse(text).diagnostics
    assert (warning.severity, warning.code) == (Severity.WARNING, "unknown-key")
    assert "did you mean `entry_points`?" in warning.message
    with pytest.raises(ProjectInvalidError, match="did you mean `entry_points`"):
        parse(text, strict=True)


def test_control_characters_do_not_reach_the_terminal() -> None:
    with pytest.raises(ProjectInvalidError) as caught:
        parse('"\\e[2J": 1\nname: [a\x1b[2J]\n')
    assert "\x1b" not in caught.value.message


HOSTILE = {
    "ten megabytes": b"a: b\n" * 2_000_000,
    "deep flow": b"[" * 100_000,
    "deep block": b"".join(b" " * depth + b"a:\n" for depth in range(1000)),
    "deep lists": b"- " * 100_000,
    "deep keys": b"? " * 100_000,
    "binary": bytes(range(256)),
    "latin-1": "name: café".encode("latin-1"),
    "NUL": b"name: a\0b",
    "escaped NUL": b'name: "a\\0b"',
    "half a pair": b'name: "\\ud800"',
    "long number": b"name: " + b"9" * 6000,
    "no such date": b"name: 2024-99-99",
    "unknown alias": b"name: *a",
    "merged number": b"<<: 3",
    "list as a key": b"[a]: 3",
    "bad tag": b"name: !!float abc",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_input_is_refused_with_its_place(data: bytes) -> None:
    with pytest.raises(ProjectInvalidError) as caught:
        parse(data)
    assert caught.value.diagnostics[0].position is not None
    assert len(caught.value.message) < 5_000


def test_thousands_of_warnings_are_cut() -> None:
    project = parse("".join(f"key{number}: 1\n" for number in range(3_000)))
    assert len(project.diagnostics) == 500


@pytest.mark.parametrize(
    ("verify", "says"),
    [
        ("{rtol: -1}", "must be at least 0"),
        ("{atol: .nan}", "must be at least 0"),
        ("{rtol: low}", "must be a number"),
        ("{ignore: plots}", "must be a list"),
        ("{metrics: [loss]}", "must be a mapping"),
        ("{metrics: {loss: 0.1}}", "must be a mapping"),
        ("{metrics: {loss: {ignore: maybe}}}", "must be true or false"),
        ("[a]", "must be a mapping"),
    ],
)
def test_what_is_wrong_with_verify_is_told(verify: str, says: str) -> None:
    with pytest.raises(ProjectInvalidError, match=says):
        parse(f"proj:\n  verify: {verify}\n")


def test_an_empty_verify_says_nothing() -> None:
    assert parse("proj:\n  verify:\n").extensions.verify == Verification()
    assert parse("proj:\n  verify: {metrics: }\n").extensions.verify == Verification()
    unknown = parse("proj:\n  verify: {ignor: [a]}\n").diagnostics
    assert [each.code for each in unknown] == ["unknown-key"]


def test_what_a_container_is_started_with() -> None:
    project = parse(
        "docker_env:\n  image: x\n  user: 1000:1000\n  shm_size: 2g\n  gpus: 1\n  network: host\n"
        "  platform: linux/amd64\n  build: {dockerfile: d/Dockerfile, context: ., args: {BASE: y, N: 1}}\n"
        "proj: {secrets: [TOKEN]}\n"
    )
    assert project.environment is not None
    docker = project.environment.docker
    assert docker is not None
    assert (docker.user, docker.shm_size, docker.gpus) == ("1000:1000", "2g", "1")
    assert (docker.network, docker.platform) == ("host", "linux/amd64")
    assert docker.build == DockerBuild(dockerfile="d/Dockerfile", context=".", args={"BASE": "y", "N": "1"})
    assert project.extensions.secrets == ("TOKEN",)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("shm_size: lots", "docker-option"),
        ("gpus: some", "docker-option"),
        ("platform: linux", "docker-option"),
        ("user: a b", "docker-option"),
        ("build: /elsewhere", "docker-build"),
        ("build: {context: /elsewhere}", "docker-build"),
        ("build: [x]", "wrong-type"),
        ("build: true", "wrong-type"),
    ],
)
def test_what_a_container_cannot_be_started_with(line: str, code: str) -> None:
    with pytest.raises(ProjectInvalidError) as caught:
        parse(f"docker_env:\n  image: x\n  {line}\n")
    assert code in [finding.code for finding in caught.value.diagnostics]
