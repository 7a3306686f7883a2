"""The user's own Job, which a run's Job is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from proj.errors import UsageError


def read_template(path: str, project_dir: Path) -> dict[str, Any]:
    """Read a Job template: a path from where the user stands, else from the project's folder.

    Raises:
        UsageError: It is not there, or is no YAML file with one Job.
    """
    import yaml

    here = Path(path).expanduser()
    found = here if here.is_absolute() or here.exists() else project_dir / here
    try:
        content = yaml.safe_load(found.read_bytes())
    except OSError as error:
        raise UsageError(f"Cannot read the Job template {found}: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise UsageError(f"The Job template {found} is no YAML with one document: {error}") from error
    if not isinstance(content, dict) or content.get("kind") != "Job":
        raise UsageError(
            f"The Job template {found} holds no Job.",
            hint="It begins with `apiVersion: batch/v1`, `kind: Job`, as `kubectl create job` writes it.",
        )
    _check(content, found)
    return content


def _check(content: dict[str, Any], path: Path) -> None:
    """See that what is looked into has the shape that it needs."""
    place: Any = content
    for key in ("spec", "template", "spec"):
        place = place.get(key, {})
        if not isinstance(place, dict):
            raise UsageError(f"In the Job template {path}, `{key}` is no mapping.")
    containers = place.get("containers", [])
    if not isinstance(containers, list) or not all(isinstance(each, dict) for each in containers):
        raise UsageError(f"In the Job template {path}, `containers` is no list of containers.")
