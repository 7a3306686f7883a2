"""The launcher renders each command as `proj` does, in every shell that there is, whatever the values."""

from __future__ import annotations

import os
import random
import shutil
from typing import TYPE_CHECKING, Literal

import pytest

from proj import command, process
from proj.images.launcher import launcher
from proj.images.values import LauncherSpec
from proj.model import BoundParameter, EntryPoint, Parameter, ParameterKind
from shell_lines import FUZZ_EXAMPLES, SOUP, VALUE_PARTS, broken

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]
WORDS = {"busybox": ("busybox", "sh")}
NASTY = 'it\'s "x" $(touch pwned) `touch pwned` \\ ;&|\n# é \x01\x7f ~ * '


def write(folder: Path, *entry_points: EntryPoint, quoting: Literal["safe", "mlflow"] = "safe") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    spec = LauncherSpec(entry_points=entry_points, default=entry_points[0].name, quoting=quoting)
    path = folder / "run"
    path.write_text(launcher(spec), "utf-8", "surrogateescape")
    return path


def call(
    program: Path, *arguments: str, shell: str = "dash", env: Mapping[str, str | None] | None = None
) -> process.Completed:
    return process.run(
        [*WORDS.get(shell, (shell,)), str(program), *arguments],
        cwd=program.parent,
        env=env,
        check=False,
        exact=True,
    )


def main(template: str, *parameters: Parameter) -> EntryPoint:
    return EntryPoint(name="main", command=template, parameters=parameters)


def string(name: str, default: str | None = None) -> Parameter:
    return Parameter(name=name, default=default)


def rendered(template: str, **values: str) -> str:
    """The line of a local run."""
    line = local(template, values, {}, "safe")
    assert line is not None
    return line


def local(
    template: str, values: dict[str, str], extra: dict[str, str], quoting: Literal["safe", "mlflow"]
) -> str | None:
    bound = [BoundParameter(name=name, given=value, value=value) for name, value in values.items()]
    bound += [
        BoundParameter(name=name, given=value, value=value, declared=False) for name, value in extra.items()
    ]
    try:
        return command.render(template, bound, quoting=quoting)
    except command.CommandError:
        return None


def _in_comment(template: str) -> bool:
    """Whether a value stands in a comment: what the launcher writes there says nothing, either."""
    return any(each.place is command.Place.COMMENT for each in command.placeholders(template, {"x", "y"}))


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("quoting", ["safe", "mlflow"])
def test_the_line_is_that_of_a_local_run(
    shell: str, quoting: Literal["safe", "mlflow"], tmp_path: Path
) -> None:
    rng = random.Random(None if FUZZ_EXAMPLES else f"{shell} {quoting}")  # noqa: S311  test data
    compared = refused = 0
    for _ in range(FUZZ_EXAMPLES or 150):
        template = broken(rng) if rng.random() < 0.6 else "".join(rng.choices(SOUP, k=rng.randrange(1, 24)))
        values = {name: "".join(rng.choices(VALUE_PARTS, k=rng.randrange(5))) for name in "xy"}
        extra = {"z-z": "".join(rng.choices(VALUE_PARTS, k=2))} if rng.random() < 0.2 else {}
        expected = local(template, values, extra, quoting)
        try:
            program = write(tmp_path, main(template, string("x"), string("y")), quoting=quoting)
        except command.CommandError:
            assert expected is None, template
            continue
        given = [f"{name}={value}" for name, value in {**values, **extra}.items()]
        done = call(program, "--dry-run", *(word for each in given for word in ("-P", each)), shell=shell)
        if expected is None:
            refused += 1
            assert done.returncode == 2, (template, values, extra, done.stdout)
        elif not _in_comment(template):
            compared += 1
            assert done.stdout == expected + "\n", (template, values, extra, done.stderr)
    assert compared > 20
    assert refused
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "template",
    [
        "p {x}", "p '{x}'", 'p "{x}"', "p \"a'{x}\"", 'p "$(printf %s. {x})"', "p \\'{x}\\'", "p \\{x}",
        'p "\\{x}"', "p ${{N:-{x}}}", "cat > out <<EOF\n{x}\nEOF", "cat > out <<'EOF'\n{x}\nEOF",
        "p `echo {x}`",
    ],
)  # fmt: skip
def test_a_value_is_never_code(shell: str, template: str, tmp_path: Path) -> None:
    value = NASTY if "`" not in template else NASTY.replace("\\", "")
    program = write(tmp_path, main(template, string("x")))
    program.write_text(program.read_text("utf-8").replace("\nstart ", "\nPATH=.:$PATH\nstart "), "utf-8")
    stub = tmp_path / "p"
    stub.write_text("#!/bin/sh\nprintf '%s' \"$@\" > out\n")
    stub.chmod(0o755)
    done = call(program, f"x={value}", shell=shell)
    assert not (tmp_path / "pwned").exists()
    expected = local(template, {"x": value}, {}, "safe")
    if expected is None:
        assert done.returncode == 2
    else:
        assert done.returncode == 0, done.stderr
        if "echo" not in template:
            assert value.rstrip("\n") in (tmp_path / "out").read_text("utf-8")


def test_long_values_take_no_time(tmp_path: Path) -> None:
    program = write(tmp_path, main("p {x}", string("x")))
    value = "a" * 60_000 + "'" + "b" * 40_000
    done = process.run(["dash", str(program), "--dry-run", f"x={value}"], timeout_s=10)
    assert done.stdout == rendered("p {x}", x=value) + "\n"


TYPED = main(
    "p {n} {f} {b:flag} {c}",
    Parameter(name="n", kind=ParameterKind.INTEGER, default="1", minimum=0),
    Parameter(name="f", kind=ParameterKind.FLOAT, default="0.5", maximum=10),
    Parameter(name="b", kind=ParameterKind.BOOLEAN, default="false"),
    Parameter(name="c", kind=ParameterKind.CHOICE, default="x", choices=("x", "y z")),
)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("given", "line"),
    [
        ([], "p 1 0.5  x"),
        (["n=1e6", "f=-1_0.5E-3"], "p 1e6 -1_0.5E-3  x"),
        (["n=0x1F", "f=inf"], None),
        (["n=5.0", "f=.5"], "p 5.0 .5  x"),
        (["b=Yes", "c=y z"], "p 1 0.5 --b 'y z'"),
        (["-P", "b=0", "-Pn=2"], "p 2 0.5  x"),
        (["--param-list", "n=3"], "p 3 0.5  x"),
        (["b=maybe"], None),
        (["n=1.5"], None),
        (["n=x"], None),
        (["n=-1"], None),
        (["f=10.01"], None),
        (["f=1.2.3"], None),
        (["f=e5"], None),
        (["f="], None),
        (["c=z"], None),
        (["n=1", "n=2"], None),
        (["n"], None),
        (["=1"], None),
        (["--what"], None),
        (["-e", "nothing"], None),
        (["extra=a b", "more"], None),
        (["extra=a b"], "p 1 0.5  x --extra 'a b'"),
        (["extra=1", "extra=2"], None),
    ],
)
def test_parameters_are_checked_as_for_a_local_run(
    shell: str, given: list[str], line: str | None, tmp_path: Path
) -> None:
    done = call(write(tmp_path, TYPED), "--dry-run", *given, shell=shell)
    if line is None:
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("proj: ")
    else:
        assert (done.returncode, done.stdout) == (0, line + "\n"), done.stderr


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    entry_point = main(
        "p {a} {b} {n}", string("a"), string("b c"), Parameter(name="n", kind=ParameterKind.INTEGER)
    )
    entry_point = main("p {a}", string("a"), string("b c"), Parameter(name="n", kind=ParameterKind.INTEGER))
    done = call(write(tmp_path, entry_point), "n=x")
    assert "missing parameters: 'a' 'b c'" in done.stderr
    assert "must be a whole number, not 'x'" in done.stderr


def test_variables_are_parameters_too_and_arguments_win(tmp_path: Path) -> None:
    program = write(tmp_path, main("p {learning-rate} {x}", string("learning-rate"), string("x", "d")))
    env = {"PROJ_PARAM_learning_rate": NASTY, "PROJ_PARAM_x": "v"}
    done = call(program, "--dry-run", "x=w", env=env)
    assert done.stdout == rendered("p {learning-rate} {x}", **{"learning-rate": NASTY}, x="w") + "\n"


def test_the_program_finds_the_variables_of_the_container_as_they_are(tmp_path: Path) -> None:
    program = write(tmp_path, main("env -0 > seen; : {x}", string("x", "1")))
    given = {"LC_ALL": "C.UTF-8", "line": "mine", "name": "mine", "r": "mine", "IFS": ":", "value": "mine"}
    call(program, env=given)
    seen = dict(entry.partition("=")[::2] for entry in (tmp_path / "seen").read_text().split("\0") if entry)
    assert {name: seen.get(name) for name in given if name != "IFS"} == {
        name: value for name, value in given.items() if name != "IFS"
    }
    assert not [name for name in seen if name.startswith("__")]


def test_paths_are_those_of_the_container(tmp_path: Path) -> None:
    program = write(
        tmp_path,
        main(
            "p {data} {where}",
            Parameter(name="data", kind=ParameterKind.PATH, default="data.csv"),
            Parameter(name="where", kind=ParameterKind.URI, default=""),
        ),
    )
    assert "does not exist in this container" in call(program).stderr
    (tmp_path / "data.csv").touch()
    assert call(program, "--dry-run").stdout == f"p {tmp_path}/data.csv ''\n"
    done = call(program, "--dry-run", "data=./", "where=models/a")
    assert done.stdout == f"p {tmp_path} {tmp_path}/models/a\n"
    done = call(program, "--dry-run", f"data=file://{tmp_path}/data.csv", "where=s3://bucket/x")
    assert done.stdout == f"p {tmp_path}/data.csv s3://bucket/x\n"
    assert "cannot be fetched here" in call(program, "data=https://host/x.csv").stderr


def test_entry_points_are_chosen_and_described(tmp_path: Path) -> None:
    other = EntryPoint(
        name="it's other",
        command="echo other {x}",
        parameters=(Parameter(name="x", description="What's it"),),
    )
    program = write(tmp_path, main("echo main", string("q", "'")), other)
    assert call(program).stdout == "main\n"
    assert call(program, "-e", "it's other", "x=1").stdout == "other 1\n"
    assert call(program, "x=1", "--entry-point=it's other").stdout == "other 1\n"
    said = call(program, "--help").stdout
    assert "x (string, required): What's it" in said
    assert "Known: main, it's other" in call(program, "-e", "none").stderr


def test_what_only_python_can_format_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(command.CommandError, match="formatted by Python"):
        write(tmp_path, main("p {x:>10}", string("x")))


def test_the_program_takes_the_launchers_place(tmp_path: Path) -> None:
    """So that signals reach it, and its exit code is the container's."""
    assert call(write(tmp_path, main("exit {x}", string("x", "7")))).returncode == 7
    assert os.fsdecode(call(write(tmp_path, main("echo $PPID"))).stdout).strip() == str(os.getpid())
