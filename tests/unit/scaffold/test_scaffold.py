from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from proj import parameters, process, projectfile, scaffold
from proj.command import render
from proj.environments.inputs import read_input
from proj.errors import UsageError
from proj.lint import lint
from proj.model import EnvironmentRequest

ARGPARSE = '''\
"""Train."""
import argparse
import sys

parser = argparse.ArgumentParser()
parser.add_argument("data", help="What to read: 100%% of it.")
parser.add_argument("-a", "--alpha", type=float, default=0.5, help="It's the \\"rate\\"")
parser.add_argument("--max-depth", type=int, default=-3)
parser.add_argument("--name", default="-a b")
parser.add_argument("--mode", choices=["cv", "no"], default="cv")
parser.add_argument("--dry-run", action="store_true")
parser.add_argument("--no-cache", action="store_false")
parser.add_argument("--layers", nargs="+", type=int, default=[1])
parser.add_argument("--seed", type=int)
parser.add_argument("--out", required=True)

if __name__ == "__main__":
    args = parser.parse_args()
    print(sorted(vars(args).items()))
'''

CLICK = """\
import click

@click.command()
@click.option("--alpha", "-a", default=0.5, show_default=True)
@click.option("--kind", type=click.Choice(["a", "b"]), default="a")
@click.option("--verbose", is_flag=True)
@click.option("--flag/--no-flag", default=True)
@click.option("--many", multiple=True)
@click.option("--text", type=str, required=True)
@click.argument("source")
def main(**options):
    print(sorted(options.items()))

main()
"""


def written(folder: Path) -> str:
    return scaffold.write(folder)[0].read_text(encoding="utf-8")


def output_of(folder: Path, name: str | None = None, **given: str) -> str:
    """What running an entry point prints."""
    project = projectfile.load(folder)
    assert lint(project) == ()
    point, _ = projectfile.entry_point(project, name)
    bound = parameters.bind(point, given, caller_dir=folder, project_dir=folder, download=Path)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return process.run(["bash", "-c", render(point.command, bound)], cwd=folder, env={"PATH": path}).stdout


def test_an_argparse_script_runs_with_its_defaults(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(ARGPARSE)
    text = written(tmp_path)
    assert "no-cache: {type: bool, default: false}" in text
    assert "layers" not in text
    assert "seed" not in text
    assert output_of(tmp_path, data="d $x", out="o") == (
        "[('alpha', 0.5), ('data', 'd $x'), ('dry_run', False), ('layers', [1]), ('max_depth', -3), "
        "('mode', 'cv'), ('name', '-a b'), ('no_cache', True), ('out', 'o'), ('seed', None)]\n"
    )


def test_values_and_switches_reach_an_argparse_script(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(ARGPARSE)
    scaffold.write(tmp_path)
    told = output_of(tmp_path, data="d", out="-o", **{"dry-run": "true", "alpha": "-1e-3"})
    assert "('alpha', -0.001)" in told
    assert "('dry_run', True)" in told
    assert "('out', '-o')" in told


def test_a_click_script_runs(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(CLICK)
    scaffold.write(tmp_path)
    assert output_of(tmp_path, text="t", source="s", verbose="yes") == (
        "[('alpha', 0.5), ('flag', True), ('kind', 'a'), ('many', ()), ('source', 's'), ('text', 't'), "
        "('verbose', True)]\n"
    )


def test_the_likeliest_script_is_main_and_libraries_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print('trained')\n")
    (tmp_path / "evaluate.py").write_text("if __name__ == '__main__':\n    print('evaluated')\n")
    (tmp_path / "utils.py").write_text("def helper():\n    return 1\n")
    (tmp_path / "setup.py").write_text("import setuptools\nsetuptools.setup()\n")
    (tmp_path / "train.sh").write_text("echo shell\n")
    names = [point.name for point in projectfile.load(scaffold.write(tmp_path)[0].parent).entry_points]
    assert names == ["main", "train-sh", "evaluate"]
    assert output_of(tmp_path) == "trained\n"
    assert output_of(tmp_path, "train-sh") == "shell\n"


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("python_env.yaml", "python_env: python_env.yaml"),
        ("environment.yml", "conda_env: environment.yml"),
        ("requirements.txt", "# The environment comes from requirements.txt."),
    ],
)
def test_the_environment_is_the_one_that_is_there(tmp_path: Path, file: str, line: str) -> None:
    (tmp_path / "main.py").write_text("print('x')\n")
    (tmp_path / file).write_text("dependencies: []\n" if file.endswith("ml") else "")
    assert line in written(tmp_path).splitlines()
    assert output_of(tmp_path) == "x\n"


@pytest.mark.parametrize("name", ["on.py", "a b.py", "it's {x}.py", "-x.py", "1.py", "é\u2028.py"])
def test_odd_names_are_quoted(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "yes: 'no' {x}"
    folder.mkdir()
    (folder / name).write_text("print('x')\n")
    (folder / "other.sh").write_text("echo other\n")
    scaffold.write(folder)
    assert projectfile.load(folder).name == folder.name
    assert output_of(folder, name.removesuffix(".py")) == "x\n"


def test_a_script_that_is_no_python_is_taken_without_options(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("print 'python 2'\n")
    assert projectfile.load(scaffold.write(tmp_path)[0].parent).entry_points[0].parameters == ()


def test_sub_commands_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(ARGPARSE.replace("import sys", "x = lambda p: p.add_subparsers()"))
    assert projectfile.load(scaffold.write(tmp_path)[0].parent).entry_points[0].parameters == ()


def test_a_project_file_is_replaced_by_force_only(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("print('x')\n")
    (tmp_path / "mlproject").write_text("name: mine\n")
    with pytest.raises(UsageError, match="is there already"):
        scaffold.write(tmp_path)
    assert (tmp_path / "mlproject").read_text() == "name: mine\n"
    assert scaffold.write(tmp_path, force=True)[0] == tmp_path / "mlproject"
    assert not (tmp_path / "MLproject").exists()


def test_a_folder_without_scripts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no \.py, \.sh or \.R script"):
        scaffold.write(tmp_path)
    with pytest.raises(UsageError, match="There is no folder"):
        scaffold.write(tmp_path / "none")


OPTIONS = """\
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--n", type=int)
parser.add_argument("--name", default=None)
parser.add_argument("--mode", choices=["a", "b"])
parser.add_argument("--kind", choices=["c", "d"], required=True)
parser.add_argument("--files", nargs="*")
parser.add_argument("--no-cache", dest="cache", action="store_false")
parser.add_argument("--shuffle", action=argparse.BooleanOptionalAction, default=True)
parser.add_argument("--fast", action=argparse.BooleanOptionalAction)
parser.add_argument("-v", "--verbose", action="count", default=0)
parser.add_argument("--where", default=str(argparse))
print(sorted(vars(parser.parse_args()).items())[:-1])
"""


def test_what_cannot_be_declared_is_listed_and_the_rest_works(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(OPTIONS)
    drafted = scaffold.write(tmp_path)[1]
    assert drafted.left_out == (
        "train.py --n (no default)",
        "train.py --name (no default)",
        "train.py --mode (no default)",
        "train.py --files (nargs)",
        "train.py --verbose (count)",
        "train.py --where (a computed default)",
    )
    assert drafted.required == ("kind",)
    assert "('cache', True), ('fast', None)" in output_of(tmp_path, kind="c")
    told = output_of(tmp_path, kind="d", n="5", **{"no-cache": "true", "no-shuffle": "true", "fast": "yes"})
    assert told == (
        "[('cache', False), ('fast', True), ('files', None), ('kind', 'd'), ('mode', None), ('n', 5), "
        "('name', None), ('shuffle', False), ('verbose', 0)]\n"
    )


def test_what_a_script_says_that_it_needs_becomes_the_environment(tmp_path: Path) -> None:
    block = '# /// script\n# requires-python = ">=3.9"\n# dependencies = ["tabulate==0.9.0"]\n# ///\n'
    (tmp_path / "fit.py").write_text(f"{block}print('fitted')\n")
    assert scaffold.write(tmp_path)[1].environment == "python_env.yaml"
    project = projectfile.load(tmp_path)
    assert lint(project) == ()
    found = read_input(
        EnvironmentRequest(project_dir=tmp_path, root=tmp_path, declaration=project.environment)
    )
    assert found is not None
    assert (found.python, found.requirements.lines) == (">=3.9", ("tabulate==0.9.0",))


def test_a_block_does_not_replace_the_requirements_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "fit.py").write_text('# /// script\n# dependencies = ["six"]\n# ///\nprint("x")\n')
    (tmp_path / "requirements.txt").write_text("tabulate\n")
    assert scaffold.write(tmp_path)[1].environment == "requirements.txt"
    assert not (tmp_path / "python_env.yaml").exists()
