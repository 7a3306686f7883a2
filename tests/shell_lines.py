"""Random shell lines with placeholders in all quoting places, together with what they must make happen."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
from hypothesis import strategies as st

from proj.model import BoundParameter

if TYPE_CHECKING:
    import random

FUZZ_EXAMPLES = int(os.environ.get("PROJ_FUZZ_EXAMPLES", "0"))
"""How many examples each property test tries; 0: few, for everyday runs."""

VALUE_PARTS = (
    *(
        "a",
        "b c",
        "",
        " ",
        "\t",
        "\n",
        "\r",
        "'",
        '"',
        "\\",
        "`",
        "$",
        "$(: >pwned)",
        "`: >pwned`",
        ";",
    ),
    *(
        "; : >pwned;",
        "\n: >pwned\n",
        "&",
        "|",
        "<",
        ">",
        "(",
        ")",
        "{",
        "}",
        "{x}",
        "{{",
        "#",
        "!",
        "!!",
    ),
    *(
        "*",
        "~",
        "?",
        "[",
        "]",
        "%",
        "=",
        "${HOME}",
        "$HOME",
        "$x",
        "EOF",
        "\nEOF\n",
        "-n",
        "--flag",
        "-",
        "\\n",
    ),
    *(
        "é",
        "漢字",
        "🙂",
        "\udcff",
        "\x01",
        "\x7f",
        "'; : >pwned; '",
        '"; : >pwned; "',
        "a[$(: >pwned)]",
    ),
    *(
        ")",
        "$((1))",
        "\\\n",
        "if",
        "then",
        "0",
        "7",
        "1>pwned",
        "\\'",
        "'\"'",
        "}; : >pwned; {",
        "\n: >pwned #",
    ),
)

"""Values run, when they do, as a redirection: words that a line splits on purpose (`$(echo {x})`) cannot."""

values = st.lists(st.sampled_from(VALUE_PARTS), max_size=5).map("".join)
integers = st.integers(-(10**6), 10**6).map(str)


class Word(msgspec.Struct, frozen=True):
    """A piece of a shell line and the text that the shell must make of it."""

    template: str
    text: str


class Line(msgspec.Struct, frozen=True):
    """Shell commands and the calls of `stub` that they must make, in order."""

    template: str
    calls: tuple[tuple[str, ...], ...] = ()


class Given:
    """The values of one example: `{x}` and `{y}` are free, `{n}` is an integer."""

    def __init__(self, x: str, y: str, n: str) -> None:
        self.values = {"x": x, "y": y, "n": n}

    def bound(self) -> list[BoundParameter]:
        return [BoundParameter(name=name, given=value, value=value) for name, value in self.values.items()]


def _bare(draw: st.DrawFn, given: Given) -> Word:
    kind = draw(st.sampled_from(("literal", "hole", "escaped")))
    name = draw(st.sampled_from(("x", "y", "n")))
    if kind == "literal":
        text = draw(st.sampled_from(("w", "--k=", "a/b", ".", "7")))
        return Word(text, text)
    if kind == "escaped":
        return Word(f"\\'{{{name}}}\\'", f"'{given.values[name]}'")
    return Word(f"{{{name}}}", given.values[name])


def _single(draw: st.DrawFn, given: Given) -> Word:
    name = draw(st.sampled_from(("x", "y")))
    before = draw(st.sampled_from(("", "a b", '"', "\\", "$", "#", "`", "$)", "{{")))
    literal = before.replace("{{", "{")
    return Word(f"'{before}{{{name}}}'", literal + given.values[name])


def _double(draw: st.DrawFn, given: Given) -> Word:
    name = draw(st.sampled_from(("x", "y")))
    before, literal = draw(
        st.sampled_from(
            (
                ("", ""),
                ("a  b", "a  b"),
                ("'", "'"),
                ("\\\\", "\\"),
                ("\\$", "$"),
                ("# ", "# "),
                ('\\"', '"'),
            ),
        ),
    )
    return Word(f'"{before}{{{name}}}"', literal + given.values[name])


def _ansi(draw: st.DrawFn, given: Given) -> Word:
    name = draw(st.sampled_from(("x", "y")))
    before, literal = draw(st.sampled_from((("", ""), ("\\'", "'"), ("\\n", "\n"), ('"', '"'))))
    return Word(f"$'{before}{{{name}}}'", literal + given.values[name])


def in_backticks(template: str) -> str:
    """What to write inside backticks for `template` to be read."""
    return template.replace("\\", "\\\\").replace("`", "\\`")


@st.composite
def words(draw: st.DrawFn, given: Given, depth: int, *, bash: bool, ansi: bool) -> Word:
    """A word of one to three pieces."""
    count = draw(st.integers(1, 3))
    pieces = [draw(_pieces(given, depth, bash=bash, ansi=ansi)) for _ in range(count)]
    return Word("".join(p.template for p in pieces), "".join(p.text for p in pieces))


@st.composite
def _pieces(draw: st.DrawFn, given: Given, depth: int, *, bash: bool, ansi: bool) -> Word:
    simple = [_bare, _single, _double, *([_ansi] if ansi else [])]
    if depth <= 0 or draw(st.booleans()):
        return draw(st.sampled_from(simple))(draw, given)
    # No `$'…'` in there: inside substitutions bash itself reads it wrong, without any placeholder.
    word: Word = draw(words(given, depth - 1, bash=bash, ansi=False))
    flat: Word = draw(words(given, 0, bash=bash, ansi=False))
    forms = [
        Word(f'"$(printf %s. {word.template})"', word.text + "."),
        Word(f'"$(case w in (w) printf %s. {word.template} ;; *) : ;; esac)"', word.text + "."),
        Word(f'"$(: a # it\'s ) \n printf %s. {word.template})"', word.text + "."),
        Word(f"\"`printf '%s.' {in_backticks(flat.template)}`\"", flat.text + "."),
        Word(f'"$(if [ -n {word.template}x ]; then printf %s. {word.template}; fi)"', word.text + "."),
        Word(f"${{{{NOTSET:-{word.template}}}}}", word.text),
        Word("$(( {n} + 1 ))", str(int(given.values["n"]) + 1)),
        Word('"${NOTSET:-{x}}"', given.values["x"]),
        Word('"$(cat <<EOF\n{x}.$(printf %s {n})\nEOF\n)"', f"{given.values['x']}.{given.values['n']}"),
        Word("\"$(cat <<'EOF'\n$({y}.\nEOF\n)\"", f"$({given.values['y']}."),
        Word('"$(cat <<-EOF\n\t{x}.\n\tEOF\n)"', f"{given.values['x']}."),
    ]
    if bash:
        forms += [
            Word(f'"$(cat <(printf %s. {word.template}))"', word.text + "."),
            Word(f'"$(cat <<< {word.template}; echo .)"', f"{word.text}\n."),
            Word(f'"$(a=({word.template} b); printf %s. "${{{{a[0]}}}}")"', word.text + "."),
            Word(f'"$([[ {word.template} == {word.template} ]] && echo .)"', "."),
        ]
    return draw(st.sampled_from(forms))


@st.composite
def lines(draw: st.DrawFn, given: Given, *, bash: bool) -> Line:
    """One to three commands."""
    count = draw(st.integers(1, 3))
    commands: list[Line] = [draw(_commands(given, bash=bash)) for _ in range(count)]
    template = commands[0].template
    for command in commands[1:]:
        template += draw(st.sampled_from(("\n", "\n# it's a {x} comment `\n"))) + command.template
    return Line(template, tuple(call for command in commands for call in command.calls))


@st.composite
def _commands(draw: st.DrawFn, given: Given, *, bash: bool) -> Line:
    count = draw(st.integers(1, 3))
    parts: list[Word] = [draw(words(given, 2, bash=bash, ansi=bash)) for _ in range(count)]
    joint = draw(st.sampled_from((" ", "  ", " \\\n ")))
    arguments = joint.join(part.template for part in parts)
    call = tuple(part.text for part in parts)
    first = parts[0]
    forms = [
        Line(f"stub {arguments}", (call,)),
        Line(f"stub {arguments} # it's {{x}}", (call,)),
        Line(f"stub {arguments} 2>&1 | cat", (call,)),
        Line(f"true && stub {arguments} || stub no", (call,)),
        Line(f"( stub {arguments} )", (call,)),
        Line(f"{{ stub {arguments}; }}", (call,)),
        Line(f"{{{{ stub {arguments}; }}}}", (call,)),
        Line(f'A={first.template}; stub "$A"', ((first.text,),)),
        Line(f"A={first.template} stub {arguments} > log", (call,)),
        Line(f'f() {{ stub "$@"; }}; f {arguments}', (call,)),
        Line(f'for i in {arguments}; do stub "$i"; done', tuple((text,) for text in call)),
        Line(f"case {first.template} in no) ;; *) stub {arguments};; esac", (call,)),
        Line(f"if ! [ {first.template}x = x ]; then stub {arguments}; else stub {arguments}; fi", (call,)),
        Line('{{ stub "$(cat; echo .)"; }} <<EOF\n${{H:-h}} {x}\n"{y}"\nEOF', ((_here(given),),)),
    ]
    if bash:
        forms.append(Line(f'{{ stub "$(cat; echo .)"; }} <<< {first.template}', ((f"{first.text}\n.",),)))
        forms.append(Line(f'a=({arguments}); stub "${{a[@]}}"', (call,)))
    return draw(st.sampled_from(forms))


def _here(given: Given) -> str:
    return f'h {given.values["x"]}\n"{given.values["y"]}"\n.'


SOUP = (
    *(
        "{x}",
        "{x}",
        "{y}",
        "'",
        '"',
        "`",
        "\\",
        "$",
        "$(",
        "(",
        ")",
        "{{",
        "}}",
        "${{",
        "${{N:-",
        "#",
        " ",
        "\n",
    ),
    *(
        "<<EOF",
        "<<'EOF'",
        "<<-EOF",
        "\nEOF\n",
        "<<<",
        ">f",
        "<(",
        ";",
        ";;",
        "&",
        "&&",
        "|",
        "case a in ",
        "a)",
    ),
    *(
        "esac",
        "if true; then ",
        "fi",
        "[[ ",
        " ]]",
        "==",
        "-eq",
        "$((",
        "))",
        "((",
        "a=(",
        "a[",
        "]",
        "$'",
        "\\'",
    ),
    *(
        "echo ",
        ": ",
        "printf %s ",
        "cat ",
        "a",
        "=",
        "${N",
        "}",
        "%",
        "/",
        ":",
        "~",
        "!",
        "[ ",
        "done",
        "do ",
    ),
    *(
        "for i in ",
        "function f ",
        "f()",
        "{",
        "declare -i ",
        "let ",
        "unset ",
        "printf -v ",
        "\\\n",
        "\t",
        "é",
    ),
)
"""Fragments that, thrown together, make broken and half-broken shell lines."""


SEEDS = (
    "printf %s {x} '{x}' \"{y}\" # {x}",
    'a=({x} [1]={y}); printf %s "${{a[0]}}"',
    "cat <<EOF > log\n{x}\n$(echo {y})\nEOF\nprintf %s {x}",
    "printf %s $(echo {x} $((1 + 2)) `echo {y}`)",
    'if [[ {x} == "{y}" ]]; then printf %s {x}; fi',
    "case {x} in a) : {y} ;; *) printf %s '{x}' ;; esac",
    'printf %s ${{N:-{x}}} "${N:-{y}}" | cat',
    "(printf %s {x}); { printf %s \\'{y}\\'; }",
    "let 'n = 1'; declare -i m=2; printf %s \"$(cat <<< {x})\"",
)
"""Sound lines to break: they get further than fragments do before the shell gives up."""


def broken(rng: random.Random) -> str:
    """Sound lines with some fragments put in and some characters or stretches taken out."""
    template = rng.choice(SEEDS) + rng.choice(("\n", " ; ", " && ", " ")) + rng.choice(SEEDS)
    for _ in range(rng.randrange(4)):
        start, end = sorted(rng.randrange(len(template) + 1) for _ in range(2))
        change = rng.choice(("insert", "drop", "cut"))
        if change == "insert":
            template = template[:start] + rng.choice(SOUP) + template[start:]
        else:
            template = template[:start] + template[end if change == "cut" else start + 1 :]
    return template
