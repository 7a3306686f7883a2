"""The command-line options of a Python script, read from its source: argparse and click, where it is simple.

Only what can be passed on by an MLproject command is taken: options with a default, required ones, switches.
The rest is listed. Most of it can still be given: undeclared parameters are appended as `--name value`.
"""

from __future__ import annotations

import ast
from typing import Final, Literal

import msgspec

TypeName = Literal["string", "int", "float", "path", "choice", "bool"]
_TYPES: Final[dict[str, TypeName]] = {
    "int": "int",
    "float": "float",
    "str": "string",
    "INT": "int",
    "FLOAT": "float",
    "STRING": "string",
}


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """An option or argument of a script."""

    name: str
    """The parameter's name."""
    flag: str | None
    """How it is written on the command line, such as `--alpha`; None: by its place."""
    type: TypeName = "string"
    default: str | int | float | bool | None = None
    """None: required. A switch has `type` bool and the default False."""
    description: str | None = None
    choices: tuple[str, ...] = ()


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What a Python source tells of itself."""

    runs: bool
    """Whether running it does something: a `__main__` guard, a command, or calls at its top level."""
    options: tuple[Option, ...] = ()
    left_out: tuple[str, ...] = ()
    """Options that cannot be declared, each with the reason: `--files (nargs)`."""


class _LeftOutError(Exception):
    """An option that no command of a project file can pass on; the reason in a word or two."""


def read(source: str) -> Script:
    """Read a script; one that is no valid Python tells nothing, and runs."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Script(runs=True)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {_called(call) for call in calls}
    if names & {"add_subparsers", "group", "MultiCommand"}:
        return Script(runs=True, left_out=("all options (sub-commands)",))
    options: list[Option] = []
    left_out: list[str] = []
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        name, words = _called(call), _texts(call.args)
        if name not in ("add_argument", "option", "argument") or not words:
            continue
        try:
            options.append(
                _argparse(words, call)
                if name == "add_argument"
                else _click(words, call, positional=name == "argument")
            )
        except _LeftOutError as reason:
            left_out.append(f"{_flag(words)} ({reason})")
    runs = _runs(tree) or bool(options or left_out)
    if len({option.name for option in options}) < len(options):  # several parsers, or one built by conditions
        return Script(runs=runs, left_out=("all options (some are declared twice)",))
    return Script(runs=runs, options=tuple(options), left_out=tuple(left_out))


def _flag(words: list[str]) -> str:
    """The long form of an option, such as `--alpha` of `-a`, `--alpha`."""
    return next((word for word in words if word.startswith("--")), words[0])


def _called(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _runs(tree: ast.Module) -> bool:
    for node in tree.body:
        if isinstance(node, (ast.For, ast.While, ast.With)):
            return True
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            return True
        if isinstance(node, ast.If) and "__main__" in ast.dump(node.test):
            return True
    return False


def _keywords(call: ast.Call) -> dict[str, ast.expr]:
    return {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}


def _argparse(words: list[str], call: ast.Call) -> Option:
    keywords = _keywords(call)
    if "nargs" in keywords:
        raise _LeftOutError("nargs")
    action = keywords.get("action")
    if isinstance(action, ast.Attribute) and action.attr == "BooleanOptionalAction":
        flag = _flag(words)
        return _either(flag, f"--no-{flag.removeprefix('--')}", keywords)
    named = _literal(action)
    if named in ("store_true", "store_false"):
        return _switch(_flag(words), keywords, default=named == "store_false")
    if action is not None and named != "store":
        raise _LeftOutError(str(named or "an action of its own"))
    return _valued(words, keywords, positional=not words[0].startswith("-"))


def _click(words: list[str], call: ast.Call, *, positional: bool) -> Option:
    keywords = _keywords(call)
    for key in ("nargs", "multiple", "count", "prompt", "flag_value"):
        if key in keywords:
            raise _LeftOutError(key)
    if any("/" in word for word in words):
        on, _, off = next(word for word in words if "/" in word).partition("/")
        return _either(on.strip(), off.strip(), keywords)
    if _literal(keywords.get("is_flag")) is True:
        return _switch(_flag(words), keywords, default=False)
    return _valued(words, keywords, positional=positional)


def _either(on: str, off: str, keywords: dict[str, ast.expr]) -> Option:
    """Of a pair such as `--cache` and `--no-cache`, the one that changes something."""
    default = _literal(keywords.get("default"))
    flag = off if default is True else on
    return _switch(flag, {key: keywords[key] for key in keywords if key == "help"}, default=False)


def _switch(flag: str, keywords: dict[str, ast.expr], *, default: bool) -> Option:
    if not flag.startswith("--"):
        raise _LeftOutError("a switch without a long name")
    if _literal(keywords.get("default")) not in (None, default):
        raise _LeftOutError("a switch that is always on")
    return Option(
        name=flag[2:], flag=flag, type="bool", default=False, description=_text(keywords.get("help"))
    )


def _valued(words: list[str], keywords: dict[str, ast.expr], *, positional: bool) -> Option:
    default = _literal(keywords.get("default"))
    flag = _flag(words)
    required = positional or _literal(keywords.get("required")) is True
    kind, choices = _kind(keywords, default)
    if kind is None or isinstance(default, bool):
        raise _LeftOutError("a boolean with a value")
    if default is None and "default" in keywords and not _is_none(keywords["default"]):
        raise _LeftOutError("a computed default")
    if default is None and not required:
        raise _LeftOutError("no default")
    return Option(
        name=flag.lstrip("-").replace("-", "_"),
        flag=None if positional else flag,
        type=kind,
        default=default,
        description=_text(keywords.get("help")),
        choices=choices,
    )


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _kind(
    keywords: dict[str, ast.expr], default: str | float | bool | None
) -> tuple[TypeName | None, tuple[str, ...]]:
    """The parameter's type; None for one that a text cannot stand for."""
    declared = keywords.get("type")
    choices = _choices(keywords.get("choices"))
    if isinstance(declared, ast.Call) and _called(declared) == "Choice" and declared.args:
        choices = _choices(declared.args[0])
    elif isinstance(declared, ast.Call) and _called(declared) == "Path":
        exists = {keyword.arg: _literal(keyword.value) for keyword in declared.keywords}.get("exists")
        return ("path" if exists is True else "string"), ()
    if choices:
        return "choice", choices
    if declared is None:
        if isinstance(default, int):
            return "int", ()
        return ("float" if isinstance(default, float) else "string"), ()
    name = declared.id if isinstance(declared, ast.Name) else getattr(declared, "attr", "")
    if name in ("bool", "BOOL"):
        return None, ()
    kind = _TYPES.get(name, "string")
    return ("float" if kind == "int" and isinstance(default, float) else kind), ()


def _choices(node: ast.expr | None) -> tuple[str, ...]:
    if not isinstance(node, (ast.List, ast.Tuple)):
        return ()
    values = [_literal(item) for item in node.elts]
    return tuple(str(value) for value in values) if None not in values else ()


def _texts(nodes: list[ast.expr]) -> list[str]:
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def _text(node: ast.expr | None) -> str | None:
    value = _literal(node)
    return " ".join(value.replace("%%", "%").split()) if isinstance(value, str) else None


def _literal(node: ast.expr | None) -> str | int | float | bool | None:
    if node is None:
        return None
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    return value if isinstance(value, (str, int, float, bool)) else None
