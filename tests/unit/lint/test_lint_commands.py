from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj.lint import inspect

if TYPE_CHECKING:
    from pathlib import Path


def found(folder: Path, text: str) -> list[tuple[str, int, str]]:
    """Code, line and message of what is found in a project file."""
    (folder / "MLproject").write_text(text)
    return [
        (each.code, each.position.line if each.position else 0, each.message) for each in inspect(folder)[1]
    ]


def with_command(command: str) -> str:
    lines = "".join(f"      {line}\n" for line in command.split("\n"))
    return f"entry_points:\n  main:\n    parameters: {{x: int}}\n    command: |\n{lines}"


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("echo {x} 'oops", 5),
        ("echo {x} && (", 5),
        ("echo {x}\necho `date", 6),
        ("if true; then echo {x}", 5),
        ("echo {x}\nfor; do\necho", 6),
    ],
)
def test_a_command_that_is_no_shell_is_an_error_at_its_line(tmp_path: Path, command: str, line: int) -> None:
    errors = found(tmp_path, with_command(command))
    assert [(code, where) for code, where, _ in errors] == [("command", line)]
    assert "no valid shell" in errors[0][2]


@pytest.mark.parametrize(
    "command",
    [
        "shopt -s extglob\nls !({x})",
        "cat <<END\n'{x}\nEND",
        "echo $(( {x} + 1 )) `date` ${{HOME}}",
        "[[ {x} =~ ^[0-9]+$ ]] && echo it\\'s",
        "awk '{{ print $1 }}' <<< {x}",
    ],
)
def test_shell_that_runs_is_no_error(tmp_path: Path, command: str) -> None:
    assert found(tmp_path, with_command(command)) == []


def test_scripts_of_every_line_are_looked_for(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("")
    command = "python a.py {x}\npython b.py\nif true; then python c.py; fi\npython \\\n  d.py"
    missing = found(tmp_path, with_command(command))
    assert [(code, line) for code, line, _ in missing] == [
        ("missing-script", 6),
        ("missing-script", 7),
        ("missing-script", 9),
    ]


def test_the_lines_of_a_here_document_are_no_commands(tmp_path: Path) -> None:
    assert found(tmp_path, with_command("cat > {x} <<END\npython b.py\nEND")) == []
