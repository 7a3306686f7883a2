"""For random shell lines and random values: programs receive the values, and nothing else runs."""

from __future__ import annotations

import os
import random
import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proj import command, process
from proj.model import BoundParameter
from shell_lines import FUZZ_EXAMPLES, SOUP, VALUE_PARTS, Given, Line, broken, integers, lines, values

if TYPE_CHECKING:
    from pathlib import Path

STUB = 'stub() { { printf "%s\\0" "$#" "$@"; } >> "$OUT"; }\n'
"""A shell function: no further process to start, so an example costs some milliseconds."""

QUICK = settings(
    max_examples=FUZZ_EXAMPLES or 60,
    deadline=None,
    derandomize=not FUZZ_EXAMPLES,
    suppress_health_check=list(HealthCheck),
)


EXPECTED_REFUSALS = (
    "cannot be quoted",
    "end the here-document",
    "bash loses",
    "<<- removes",
    "several lines",
)


def render(template: str, bound: list[BoundParameter]) -> tuple[str, str]:
    """The rendered line and "", or "" and the message that refuses it."""
    try:
        return command.render(template, bound), ""
    except command.CommandError as error:
        return "", error.message


def run(shell: str, line: str, folder: Path) -> list[bytes]:
    """Run a line in an empty folder and return what `stub` was called with."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    out = folder / "out"
    process.run(
        [shell, "-c", STUB + line], cwd=folder, env={"OUT": str(out), "LC_ALL": "C.UTF-8"}, check=False
    )
    assert not (folder / "pwned").exists(), line
    return out.read_bytes().split(b"\0")[:-1] if out.exists() else []


@pytest.mark.parametrize("shell", ["bash", "dash"])
@QUICK
@given(data=st.data())
def test_programs_receive_the_values_and_nothing_else_runs(
    shell: str, data: st.DataObject, tmp_path: Path
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    example = Given(data.draw(values), data.draw(values), data.draw(integers))
    line: Line = data.draw(lines(example, bash=shell == "bash"))
    rendered, refusal = render(line.template, example.bound())
    if refusal:
        assert any(word in refusal for word in EXPECTED_REFUSALS), refusal
        return
    received = run(shell, rendered, tmp_path / "here")
    expected = [
        field
        for call in line.calls
        for field in (str(len(call)).encode(), *(os.fsencode(text) for text in call))
    ]
    assert received == expected, f"{line.template!r} {example.values} -> {rendered!r}"


def _broken_line(rng: random.Random) -> tuple[str, list[BoundParameter]]:
    template = broken(rng) if rng.random() < 0.5 else "".join(rng.choices(SOUP, k=rng.randrange(1, 24)))
    given_values = {name: "".join(rng.choices(VALUE_PARTS, k=rng.randrange(5))) for name in "xyz"}
    bound = [
        BoundParameter(name=name, given=value, value=value, declared=name != "z")
        for name, value in given_values.items()
        if name != "z" or rng.random() < 0.1
    ]
    return template, bound


def test_broken_lines_are_refused_or_rendered_and_never_crash() -> None:
    rng = random.Random(None if FUZZ_EXAMPLES else 7)  # noqa: S311  test data
    refused = 0
    for _ in range(FUZZ_EXAMPLES or 2000):
        template, bound = _broken_line(rng)
        _, refusal = render(template, bound)
        refused += bool(refusal)
        assert not refusal or refusal.endswith("^")
    assert refused


def test_broken_lines_run_nothing_of_a_value(tmp_path: Path) -> None:
    rng = random.Random(None if FUZZ_EXAMPLES else 11)  # noqa: S311  test data
    for _ in range(FUZZ_EXAMPLES // 10 or 100):
        template, bound = _broken_line(rng)
        rendered, refusal = render(template, bound)
        if not refusal:
            run("bash", rendered, tmp_path / "here")


@pytest.mark.parametrize(
    "unit", ["{x} ", "$(", "`", '"$(', "((", "$((", "${{N:-", "a=(", "<<E\n", "\\", "{", "}", "'{x}' # {x}\n"]
)
def test_long_and_deep_lines_are_refused_or_rendered(unit: str) -> None:
    bound = [BoundParameter(name="x", given="v w", value="v w")]
    rendered, refusal = render(unit * 20_000, bound)
    assert "nested too deeply" in refusal or len(rendered) >= 10_000
