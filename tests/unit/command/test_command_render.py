"""What `render` makes of each place, each kind of brace, each format, and of undeclared parameters."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from proj import command, process
from proj.model import BoundParameter, ParameterKind

NASTY = 'it\'s "x" $(touch pwned) `id` \\ ;&|\n#'


def bind(**given: str) -> list[BoundParameter]:
    return [BoundParameter(name=name, given=value, value=value) for name, value in given.items()]


def undeclared(name: str, value: str) -> list[BoundParameter]:
    return [BoundParameter(name=name, given=value, value=value, declared=False)]


def argv(line: str, folder: Path) -> list[str]:
    """What a program gets that stands for `p` in the line."""
    out = folder / "argv"
    script = f"p() {{ printf '%s\\0' \"$@\" >> {out}; }}\n{line}"
    process.run(["bash", "-c", script], cwd=folder, check=False)
    assert not (folder / "pwned").exists()
    return os.fsdecode(out.read_bytes()).split("\0")[:-1] if out.exists() else []


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("p {x}", [NASTY]),
        ("p '{x}'", [NASTY]),
        ('p "{x}"', [NASTY]),
        ("p $'{x}'", [NASTY]),
        ("p --a={x}/b", [f"--a={NASTY}/b"]),
        ("p main.steps=\\'{x}\\'", [f"main.steps='{NASTY}'"]),
        ('p "\\{x}"', ["\\" + NASTY]),
        ("p \\{x}", [NASTY]),
        ('p "$(printf %s "{x}")"', [NASTY]),
        ("p \"`printf %s '{x}'`\"", [NASTY]),
        ("p ${{N:-{x}}}", [NASTY]),
        ("p ${N:-{x}}", [NASTY]),
        ("p a \\\n  {x} # it's {x}\np {x}", ["a", NASTY, NASTY]),
        ('p "$(cat <<EOF\n{x}.\nEOF\n)"', [NASTY + "."]),
        ("p \"$(cat <<'EOF'\n{x}.\nEOF\n)\"", [NASTY + "."]),
        ("if [ {x} = {x} ]; then p {x}; fi", [NASTY]),
        ("cat <<EOF\\\n > /dev/null\n{x}'\nEOF\np {x}", [NASTY]),
        ('[[ {x} == "{x}" ]] && p {x}', [NASTY]),
        ("p $([ {x} = a ] && echo no) {x}", [NASTY]),
        ("case {x} in it*) p {x} ;; esac", [NASTY]),
        ('a=(b {x}); p "${a[1]}"', [NASTY]),
        ("p $$'{x}' | cat; p {x}", None),
    ],
)
def test_a_value_arrives_as_it_is(template: str, expected: list[str] | None, tmp_path: Path) -> None:
    received = argv(command.render(template, bind(x=NASTY)), tmp_path)
    assert received == expected if expected else received[-1] == NASTY


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("echo {{a}} {{}}", "echo {a} {}"),
        ("echo ${HOME} ${{HOME}} ${{A:-1}} ${A:-{x}}", "echo ${HOME} ${HOME} ${A:-1} ${A:-v}"),
        ("awk '{print $1}' f{1..3} {a,b} {}", "awk '{print $1}' f{1..3} {a,b} {}"),
        ('p \'{"a": {"b": {x}}}\'', 'p \'{"a": {"b": v}}\''),
        ('p \'{{"a": {{"b": {x}}}}}\'', 'p \'{"a": {"b": v}}\''),
        ("{ p {x}; }", "{ p v; }"),
        ("grep '[0-9]{4}' {0}", "grep '[0-9]{4}' {0}"),
        ("echo '${x}' \\${x} $${x} ${x}", "echo '$v' \\$v $$v ${x}"),
        ("echo '${other}' # {other}", "echo '${other}' # {other}"),
        ("for i in {{1..{x}}}; do p; done", "for i in {1..v}; do p; done"),
        ("p {x!s} {x:} {x:s} '{x!r}' \"f({x!r})\"", "p v v v 'v' \"f('v')\""),
        ("p {x:>3}", "p '  v'"),
        ("p {} {x y} {learning-rate}", "p {} 'a b' 1"),
    ],
)
def test_only_placeholders_are_replaced(template: str, rendered: str) -> None:
    bound = bind(x="v", **{"x y": "a b", "learning-rate": "1"})
    assert command.render(template, bound) == rendered


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("", "p ''"),
        ("a", "p a"),
        ("~", "p '~'"),
        ("-n", "p -n"),
        ("it's", "p 'it'\\''s'"),
        ("1e-3", "p 1e-3"),
    ],
)
def test_unquoted_values_are_quoted_only_when_they_need_it(value: str, line: str) -> None:
    assert command.render("p {x}", bind(x=value)) == line


def test_a_number_before_a_redirection_stays_an_argument(tmp_path: Path) -> None:
    assert argv(command.render("p {x}>log", bind(x="2")), tmp_path) == ["2"]


def test_a_reserved_word_as_the_command_is_no_syntax() -> None:
    assert command.render("{x} a", bind(x="if")) == "'if' a"


@pytest.mark.parametrize(
    ("template", "value", "message"),
    [
        (
            "p {lr}",
            "1",
            "no parameter 'lr' is declared for the placeholder {lr} (line 1, column 3 of the command)",
        ),
        ("p a\n  --q {X}", "1", "(line 2, column 7 of the command)"),
        ("p {x.y}", "1", "values are text"),
        ("p { x }", "1", "blanks inside the placeholder"),
        ("p {x!q}", "1", "unknown conversion"),
        ("p {x:.3f}", "1", "values are text"),
        ("p {x:flag}", "1", "makes a switch of 'x', which is declared as string"),
        ("p {x}", "a\0b", "NUL"),
        ("p $(({x}+1))", "a[$(touch pwned)]", "not an integer"),
        ("p $[{x}]", "b", "not an integer"),
        ("(({x}))", "b", "not an integer"),
        ("for ((i=0;i<{x};i++)); do p; done", "b", "not an integer"),
        ("[[ {x} -eq 1 ]]", "a[$(touch pwned)]", "not an integer"),
        ('[[ 1 -gt "{x}" ]]', "a[$(touch pwned)]", "not an integer"),
        ("a[{x}]=1", "b", "not an integer"),
        ("a=([{x}]=1)", "b", "not an integer"),
        ("a=([p {x}]=1)", "b", "not an integer"),
        ('a=(["{x}"]=1)', "b", "not an integer"),
        ("a['{x}']=1", "b", "not an integer"),
        ('let "y = {x}"', "a[$(touch pwned)]", "not an integer"),
        ('declare "{x}=1"', "a[$(touch pwned)]", "compute what stands in the brackets"),
        ("let y={x}", "a[$(touch pwned)]", "not an integer"),
        ("declare -i y={x}", "a[$(touch pwned)]", "not an integer"),
        ("unset {x}", "a[$(touch pwned)]", "compute what stands in the brackets"),
        ("[ -v {x} ]", "a[$(touch pwned)]", "compute what stands in the brackets"),
        ("p ${N#{x}}", "*", "cannot be quoted inside ${…}"),
        ('p "${N:-{x}}"', "it's", "cannot be quoted inside"),
        ("cat <<EOF\n{x}\nEOF", "a\nEOF\ntouch pwned", "would end the here-document"),
        ("cat <<'EOF'\n{x}\nEOF", "EOF", "would end the here-document"),
        ("p $(cat <<EOF\n{x}\nEOF\n)", "EOF) ; touch pwned", "would end the here-document"),
        ("cat <<-EOF\n\t{x}\nEOF", "a\n\tb", "<<- removes"),
        ("cat <<{x}\nEOF", "EOF", "in the delimiter of a here-document"),
        ("p 'a {x}", "b", "before the placeholder {x} are never closed (line 1, column 3"),
        ("a=(b {x} >log)", "b", "the operator > in the list of an array"),
        ("a=(b {x} ; p)", "b", "the operator ; in the list of an array"),
        ("p $((q {x}); r)", "))\ntouch pwned", "cannot be quoted inside nested substitutions"),
        ("p $\\\n({x})", "b", "a line ends behind a $"),
        ("p <\\\n<E\n{x}\nE", "b", "a line ends inside an operator"),
        ("p `echo \\{x}`", "b", "inside backticks"),
        ("p " + "$(" * 70 + "{x}" + ")" * 70, "b", "nested too deeply"),
    ],
)
def test_what_cannot_be_rendered_names_its_place(template: str, value: str, message: str) -> None:
    with pytest.raises(command.CommandError) as caught:
        command.render(template, bind(x=value), where="MLproject:12")
    assert caught.value.message.startswith("MLproject:12: ")
    assert message in caught.value.message
    assert caught.value.message.splitlines()[-1].strip() == "^"
    assert caught.value.hint
    assert caught.value.code == "project_invalid"


def test_the_caret_stands_below_the_placeholder() -> None:
    with pytest.raises(command.CommandError) as caught:
        command.render("python train.py\n  --rate {Rate}", bind(rate="1"))
    assert caught.value.message.splitlines()[1:] == ["      --rate {Rate}", "             ^"]
    assert caught.value.hint is not None
    assert "Did you mean {rate}?" in caught.value.hint


@pytest.mark.parametrize(
    ("template", "value", "line"),
    [
        ("p $(({x} * 2))", "10", "p $((10 * 2))"),
        ("p $((3-{x}))", "-1", "p $((3-(-1)))"),
        ("[[ {x} -eq 1 ]]", "-1", "[[ -1 -eq 1 ]]"),
        ("declare -i y={x}", "-1", "declare -i y=-1"),
        ('p ${{{x}}} "${N%{x}}"', "HOME", 'p ${HOME} "${N%HOME}"'),
        ("a=(<(p {x}) [1]={x} @(b|c))", "V", "a=(<(p V) [1]=V @(b|c))"),
        ("p # {x}", "a\nb`$(c", "p # a?b???c"),
        ("export A={x}", "a[b", "export A='a[b'"),
    ],
)
def test_places_with_few_values_take_those(template: str, value: str, line: str) -> None:
    assert command.render(template, bind(x=value)) == line


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("true", "p --dry_run a"),
        ("True", "p --dry_run a"),
        ("1", "p --dry_run a"),
        ("no", "p  a"),
        ("", "p  a"),
    ],
)
def test_a_flag_is_a_switch_or_nothing(value: str, line: str) -> None:
    flag = BoundParameter(name="dry_run", given=value, value=value, kind=ParameterKind.BOOLEAN)
    assert command.render("p {dry_run:flag} a", [flag]) == line


def test_a_flag_needs_a_truth_value() -> None:
    flag = BoundParameter(name="f", given="maybe", value="maybe", kind=ParameterKind.BOOLEAN)
    with pytest.raises(command.CommandError, match="neither true nor false: 'maybe'"):
        command.render("p {f:flag}", [flag])


@pytest.mark.parametrize(
    ("template", "value", "line"),
    [
        ('p "f({x})"', "a b", "p \"f('a b')\""),
        ('p "f({x})"', "a", 'p "f(a)"'),
        ('p "f({x})"', "$(id)", "p \"f('\\$(id)')\""),
        ("p '{x}' {x}", "a b", "p 'a b' 'a b'"),
        ('p "f({x!r})"', "a b", "p \"f('a b')\""),
    ],
)
def test_mlflow_quoting_keeps_its_literal_quotes_and_stays_safe(template: str, value: str, line: str) -> None:
    assert command.render(template, bind(x=value), quoting="mlflow") == line


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ("p a", "p a --k 'v w'"),
        ("p a \n", "p a --k 'v w' \n"),
        ("p a # why", "p a --k 'v w' # why"),
        ("p a \\\n", "p a --k 'v w'"),
        ("p a\\", "p a --k 'v w'"),
        ("p a\\\\", "p a\\\\ --k 'v w'"),
        ("p a &", "p a --k 'v w' &"),
        ("p a;\n# done\n", "p a --k 'v w';\n# done\n"),
        ("p <<EOF\nbody\nEOF\n", "p <<EOF --k 'v w'\nbody\nEOF\n"),
        ("cd .. && p", "cd .. && p --k 'v w'"),
        ("p 2>&1 | tee log", "p 2>&1 | tee log --k 'v w'"),
        ("p $(q)", "p $(q) --k 'v w'"),
        ("p {{a}}", "p {a} --k 'v w'"),
    ],
)
def test_undeclared_parameters_follow_the_last_word(template: str, line: str) -> None:
    assert command.render(template, undeclared("k", "v w")) == line


def test_an_undeclared_name_is_quoted_too() -> None:
    assert command.render("p", undeclared("a;touch pwned", "1")) == "p '--a;touch pwned' 1"


@pytest.mark.parametrize(
    "template",
    [
        "if true; then p; fi",
        "(p)",
        "for i in a; do p; done",
        "{ p; }",
        "p &&",
        "p |",
        "p 'a",
        "p $(b",
        "# c",
        "",
    ],
)
def test_undeclared_parameters_need_a_program_at_the_end(template: str) -> None:
    with pytest.raises(command.CommandError, match="cannot append undeclared parameters \\(k\\)"):
        command.render(template, undeclared("k", "v"))


def test_placeholders_are_listed_with_their_places() -> None:
    found = command.placeholders('p {a} \'{b}\' \\\n "$(q "{c:flag}")" # {d}')
    assert [(p.name, p.format, p.line, p.column, p.place.value) for p in found] == [
        ("a", None, 1, 3, "unquoted"),
        ("b", None, 1, 8, "single quotes"),
        ("c", "flag", 2, 8, "double quotes"),
        ("d", None, 2, 22, "comment"),
    ]


@pytest.mark.parametrize(
    ("template", "nested"),
    [
        ("bash -c '{x}'", True),
        ('A=1 /bin/sh -ec "{x}"', True),
        ('eval "{x}"', True),
        ("ssh host run {x}", True),
        ("timeout 5 bash -c {x}", True),
        ("bash <<EOF\n{x}\nEOF", True),
        ("bash -eo pipefail -c '{x}'", True),
        ("su me -c '{x}'", True),
        ("find . -exec sh -c '{x}' \\;", True),
        ("bash -c 'python t.py \"$1\"' - {x}", False),
        ("eval echo bash -c a {x}", True),
        ("bash run.sh {x}", False),
        ("bash run.sh -c {x}", False),
        ("python -c '{x}'", False),
        ("eval true; p {x}", False),
        ("echo {x} | bash", True),
        ("echo '{x}' |\n  /bin/sh -s a", True),
        ("echo {x} | tee log | zsh -e", True),
        ("$(echo {x} | dash)", True),
        ("echo {x} |& ksh; p", True),
        ("bash <<< {x}", True),
        ('sh -e <<<"{x}" > log', True),
        ("echo {x} | bash run.sh", False),
        ("echo {x} | bash -c cat", False),
        ("echo {x} | cat; bash", False),
        ("echo {x} || bash", False),
        ("cat <<< {x}", False),
        ("bash -c cat <<< {x}", False),
        ("bash run.sh <<< {x}", False),
    ],
)
def test_a_second_shell_is_told(template: str, nested: bool) -> None:
    (found,) = command.placeholders(template)
    assert found.nested_shell is nested


@pytest.mark.parametrize("value", ["$(touch pwned)", "a b", "a;b", "`id`", "it's", "*", "a\n"])
def test_a_value_that_a_second_shell_would_read_is_warned_of(value: str) -> None:
    (sentence,) = command.nested_warnings('true\nbash -c "p {x}" {y}', bind(x=value, y=value))
    assert "The value of {x} (line 2, column 12 of the command)" in sentence
    assert "bash -c 'echo \"$1\"' _ {x}" in sentence


@pytest.mark.parametrize("value", ["", "0.1", "s3://a/b-c_d.csv", "a=b,c:d@e+f%"])
def test_a_plain_value_is_not_warned_of(value: str) -> None:
    assert command.nested_warnings("bash -c 'p {x}'", bind(x=value)) == ()


def test_what_no_second_shell_reads_is_not_warned_of() -> None:
    assert command.nested_warnings("p {x} | bash -c 'cat \"$1\"' _ {x}", bind(x=NASTY)) == ()


def test_variables_of_the_shell_are_no_placeholders() -> None:
    assert command.placeholders("p ${x} '${y}'", {"x"}) == ()
    assert [variable.name for variable in command.shell_variables("p ${x} ${{y}}")] == ["x"]


def test_the_line_is_run_by_bash_else_sh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert command.shell_argv("p") == ("bash", "-c", "p")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command.shell_argv("p") == ("sh", "-c", "p")


def test_the_documentation_shows_what_happens() -> None:
    text = (Path(__file__).parents[3] / "docs/explanation/quoting.md").read_text("utf-8")
    rows = re.findall(r"^\| .+? \| `(.+)` \| `(.+)` \|$", text, re.MULTILINE)
    shown = [(template, line) for template, line in rows if "{x}" in template and "HOME" in line]
    assert len(shown) >= 4
    for template, line in shown:
        if "EOF" not in template:
            assert command.render(template, bind(x="it's $HOME")) == line
