"""The command-line options of a Python script, read from its source: argparse and click, where it is simple.

Only what can be passed on by an MLproject command is taken: options with a default, required ones, switches.
The rest can still be given at a run: undeclared parameters are appended as `--name value`.
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


def read(source: str) -> Script:
    """Read a script; one that is no valid Python tells nothing, and runs."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Script(runs=True)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {_called(call) for call in calls}
    if names & {"add_subparsers", "group", "MultiCommand"}:
        return Script(runs=True)
    found: list[Option | None] = []
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        name = _called(call)
        if name == "add_argument":
            found.append(_argparse(call))
        elif name in ("option", "argument"):
            found.append(_click(call, positional=name == "argument"))
    options = tuple(option for option in found if option is not None)
    if len({option.name for option in options}) < len(options):  # several parsers, or one built by conditions
        options = ()
    return Script(runs=_runs(tree) or bool(found), options=options)


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


def _argparse(call: ast.Call) -> Option | None:
    words = _texts(call.args)
    keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    action = _literal(keywords.get("action"))
    if (
        not words
        or (action is not None and action != "store_true")
        or (action is None and "action" in keywords)
    ):
        return None
    if "nargs" in keywords:
        return None
    if action == "store_true":
        return _switch(words, keywords)
    return _valued(words, keywords, positional=not words[0].startswith("-"))


def _click(call: ast.Call, *, positional: bool) -> Option | None:
    words = _texts(call.args)
    keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    if not words or keywords.keys() & {"nargs", "multiple", "count", "prompt", "flag_value"}:
        return None
    if _literal(keywords.get("is_flag")) is True:
        return _switch(words, keywords)
    if any("/" in word for word in words):
        return None
    return _valued(words, keywords, positional=positional)


def _switch(words: list[str], keywords: dict[str, ast.expr]) -> Option | None:
    flag = next((word for word in words if word.startswith("--") and "/" not in word), None)
    if flag is None or _literal(keywords.get("default")) not in (None, False):
        return None
    return Option(
        name=flag[2:], flag=flag, type="bool", default=False, description=_text(keywords.get("help"))
    )


def _valued(words: list[str], keywords: dict[str, ast.expr], *, positional: bool) -> Option | None:
    default = _literal(keywords.get("default"))
    if isinstance(default, bool):
        return None
    flag = next((word for word in words if word.startswith("--")), words[0])
    required = positional or _literal(keywords.get("required")) is True
    if default is None and (not required or "default" in keywords):
        return None
    kind, choices = _kind(keywords, default)
    if kind is None:
        return None
    return Option(
        name=flag.lstrip("-").replace("-", "_"),
        flag=None if positional else flag,
        type=kind,
        default=default,
        description=_text(keywords.get("help")),
        choices=choices,
    )


def _kind(
    keywords: dict[str, ast.expr], default: str | float | None
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
