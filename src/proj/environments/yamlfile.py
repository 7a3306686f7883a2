"""YAML environment files, read so that `python: 3.10` stays the text 3.10."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.environments.requirements import read_text
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from pathlib import Path

_MAX_CHARACTERS = 1024 * 1024


def load_yaml(path: Path) -> dict[str, object]:
    """A YAML file's top-level mapping, every scalar as text.

    Raises:
        EnvironmentFailedError: It cannot be read, is not YAML, or holds no mapping.
    """
    import yaml

    from proj import yamltree

    text = read_text(path)
    if len(text) > _MAX_CHARACTERS:
        raise EnvironmentFailedError(f"{path} is larger than 1 MiB; that is no environment file.")
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        yamltree.parse(text)  # refuses what the loader does not survive, such as a hundred thousand brackets
        table = yaml.load(text, Loader=loader)  # noqa: S506  the base loader makes text, lists and mappings only
    except yamltree.YamlError as error:
        place = f"{path}:{error.position.line}:{error.position.column}"
        raise EnvironmentFailedError(
            f"{place}: {error.message[:1].lower()}{error.message[1:]}", hint=error.fix
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or error
        raise EnvironmentFailedError(
            f"{path}{place}: not valid YAML: {problem}.", hint="Correct the file."
        ) from error
    if table is None or table == "":
        return {}
    if not isinstance(table, dict):
        raise EnvironmentFailedError(
            f"{path} holds no mapping.", hint="An environment file has lines such as `python: 3.11`."
        )
    return table
