"""What a project says its environment is: many kinds of file, one frozen value."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from proj.environments.requirements import (
    LocalPackage,
    Requirements,
    logical_lines,
    parse_requirements,
    read_requirements,
    read_text,
    requirement_name,
)
from proj.environments.select import ORDER
from proj.environments.yamlfile import load_yaml
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proj.environments.condafile import CondaFile  # noqa: TC004  nothing decodes the struct
    from proj.model import EnvironmentRequest

Kind = Literal["python_env", "conda", "requirements", "pyproject", "setup", "script"]

# What MLflow installs where a project names nothing (`_PythonEnv.BUILD_PACKAGES`). Packages of some years ago
# import `pkg_resources` at run time, which setuptools 82 no longer has.
DEFAULT_BUILD = ("pip", "setuptools<82", "wheel")
# What virtualenv puts into each environment of a Python before 3.12, whatever the project names: packages of
# that time rely on it without saying so.
_SEEDED = "setuptools<82 ; python_version < '3.12'"

CONDA_NAMES = ("conda.yaml", "conda.yml", "environment.yml", "environment.yaml")
_CONDA_LOCKS = ("conda-lock.yml", "pixi.lock")


class PythonInput(msgspec.Struct, frozen=True, kw_only=True):
    """A project's Python environment as it is declared, included files and all."""

    origin: str
    """The file it comes from, relative to the project's folder."""
    kind: Kind
    path: Path
    python: str | None = None
    """The Python that is asked for, as written."""
    build: tuple[str, ...] = ()
    """Installed with the rest, and dropped to bare names where their pins contradict it."""
    requirements: Requirements = Requirements()
    dropped_conda: tuple[str, ...] = ()
    """Packages that only conda can install."""
    conda: CondaFile | None = None
    """The conda file; None where it is none, or a lock stands for it."""
    conda_lock: Path | None = None
    """The lock of conda packages that the project is declared by."""
    from_conda: tuple[tuple[str, str], ...] = ()
    """Distribution -> conda package that it is taken for, among the requirements."""
    absent: tuple[str, ...] = ()
    """conda packages that PyPI has nothing for."""
    drop_missing: bool = False
    """Whether those may be left out, and those of `from_conda` that turn out to be no better."""
    shipped_lock: Path | None = None
    """`pylock.toml` or `uv.lock` beside it."""
    warnings: tuple[str, ...] = ()

    @property
    def needs_conda(self) -> bool:
        """Whether there are conda packages beside Python and pip."""
        return bool(self.dropped_conda) or self.conda_lock is not None

    @property
    def count(self) -> int:
        """How many requirements are named."""
        return len(self.requirements.lines) + len(self.requirements.local)

    def digest(self, project_dir: Path) -> str:
        """Hexadecimal SHA-256 of all that a resolution depends on, the same in every checkout."""
        import hashlib

        sha = hashlib.sha256()
        requirements = self.requirements
        local = sorted(
            (_relative(package.path, project_dir), package.editable, package.extras, package.marker,
             metadata_digest(Path(package.path)))
            for package in requirements.local
        )  # fmt: skip
        parts = (
            "input 1", self.kind, self.build, requirements.lines, local,
            requirements.constraints, requirements.options,
        )  # fmt: skip
        sha.update(msgspec.json.encode(parts))
        if self.from_conda or self.absent:
            sha.update(msgspec.json.encode((self.from_conda, self.absent, self.drop_missing)))
        if self.kind == "pyproject":
            sha.update(self.path.read_bytes())
        return sha.hexdigest()


def read_input(request: EnvironmentRequest, platform: str | None = None) -> PythonInput | None:
    """What the project declares; None when it declares no Python environment at all.

    A script entry point's own block comes first (PEP 723), then what the project file names, then the files
    of `ORDER`.

    Args:
        request: The request.
        platform: conda's name of the platform that a conda file is read for; None: this machine's.

    Raises:
        EnvironmentFailedError: A file is missing or is not what it should be.
    """
    folder = request.project_dir
    if request.script is not None:
        from proj.environments.pep723 import read_script_metadata

        script = folder / request.script
        metadata = read_script_metadata(script) if script.suffix == ".py" else None
        if metadata is not None:
            requirements = parse_requirements(
                metadata.dependencies, origin=request.script, base=folder, project_dir=folder
            )
            return PythonInput(
                origin=request.script, kind="script", path=script, python=metadata.requires_python,
                requirements=requirements, warnings=requirements.warnings,
            )  # fmt: skip
    declaration = request.declaration
    if declaration is not None:
        if declaration.file is None:
            return None
        path = (folder / declaration.file).resolve()
        if not path.is_file():
            raise EnvironmentFailedError(
                f"The project's environment file {declaration.file} is not there (no {path}).",
                hint="Add the file, or correct its name in the project file.",
            )
        return _read(path, declaration.file, folder, named=True, platform=platform)
    for name in ORDER:
        path = folder / name
        if path.is_file():
            found = _read(path, name, folder, named=False, platform=platform)
            if found is not None:
                return found
    return None


def _read(path: Path, origin: str, folder: Path, *, named: bool, platform: str | None) -> PythonInput | None:
    name = path.name
    if name in ("uv.lock", "pyproject.toml") or (name == "pylock.toml" and not named):
        from proj.environments.pyproject import read_lock_file, read_pyproject

        return (
            read_lock_file(path, origin)
            if name == "pylock.toml"
            else read_pyproject(path, origin, named=named)
        )
    if name == "setup.py":
        return _setup(path, origin, folder)
    if name in _CONDA_LOCKS or _is_explicit_list(path):
        return PythonInput(origin=origin, kind="conda", path=path, conda_lock=path)
    if path.suffix in (".txt", ".in"):
        return _requirements_file(path, origin, folder)
    table = load_yaml(path)
    # Some project files say `python_env: conda.yaml`: the content tells which it is.
    looks_conda = "channels" in table or any(
        isinstance(entry, str) and (entry.startswith("python=") or entry.strip() == "python")
        for entry in _list(table.get("dependencies"))
    )
    if looks_conda or (name in CONDA_NAMES and "build_dependencies" not in table):
        return _conda(path, origin, folder, platform)
    return _python_env(path, origin, folder, table)


def _is_explicit_list(path: Path) -> bool:
    """Whether a file is a list of conda packages by URL, as `conda list --explicit` writes it."""
    if path.suffix not in (".txt", ".lock"):
        return False
    from proj.environments.conda.explicit import is_explicit

    return is_explicit(read_text(path))


def _python_env(path: Path, origin: str, folder: Path, table: dict[str, object]) -> PythonInput:
    warnings: list[str] = []
    lines = _dependency_lines(table.get("dependencies"), origin, warnings)
    build_lines = _dependency_lines(table.get("build_dependencies"), origin, warnings)
    requirements = parse_requirements(lines, origin=origin, base=path.parent, project_dir=folder)
    build = parse_requirements(build_lines, origin=origin, base=path.parent, project_dir=folder)
    python = table.get("python")
    return PythonInput(
        origin=origin, kind="python_env", path=path,
        python=str(python) if isinstance(python, str) and python.strip() else None,
        build=_build(build.lines, requirements),
        requirements=msgspec.structs.replace(
            requirements,
            local=(*build.local, *requirements.local),
            constraints=(*build.constraints, *requirements.constraints),
            options=tuple(dict.fromkeys((*build.options, *requirements.options))),
        ),
        shipped_lock=_pylock_beside(folder),
        warnings=(*warnings, *build.warnings, *requirements.warnings),
    )  # fmt: skip


def _conda(path: Path, origin: str, folder: Path, platform: str | None) -> PythonInput:
    from proj.environments.condafile import read_conda_file  # not on the way of projects without one

    conda = read_conda_file(path, platform)
    requirements = parse_requirements(
        [line for entry in conda.pip for line in logical_lines(entry)],
        origin=origin, base=path.parent, project_dir=folder,
    )  # fmt: skip
    return PythonInput(
        origin=origin, kind="conda", path=path, python=conda.python,
        build=_conda_build(conda.build, requirements), requirements=requirements, dropped_conda=conda.conda,
        conda=conda, shipped_lock=_pylock_beside(folder), warnings=(*conda.warnings, *requirements.warnings),
    )  # fmt: skip


def _requirements_file(path: Path, origin: str, folder: Path) -> PythonInput:
    requirements = read_requirements(path, folder)
    return PythonInput(
        origin=origin, kind="requirements", path=path, python=_pinned_python(folder),
        build=_build((), requirements), requirements=requirements,
        shipped_lock=_pylock_beside(folder), warnings=requirements.warnings,
    )  # fmt: skip


def _setup(path: Path, origin: str, folder: Path) -> PythonInput:
    requirements = Requirements(local=(LocalPackage(path=str(path.parent.resolve()), editable=True),))
    return PythonInput(
        origin=origin, kind="setup", path=path, python=_pinned_python(folder), build=DEFAULT_BUILD,
        requirements=requirements, shipped_lock=_pylock_beside(folder),
    )  # fmt: skip


def _pinned_python(folder: Path) -> str | None:
    """The version in `.python-version` (pyenv, uv), where the environment's file has no place for one."""
    try:
        text = (folder / ".python-version").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    first = next(
        (line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")), ""
    )
    return first if first[:1].isdigit() else None


def _build(named: tuple[str, ...], requirements: Requirements) -> tuple[str, ...]:
    if requirements.hashed:
        return named
    required = {requirement_name(line) for line in requirements.lines}
    if named:
        required |= {requirement_name(line) for line in named}
        return named if "setuptools" in required else (*named, _SEEDED)
    return tuple(line for line in DEFAULT_BUILD if requirement_name(line) not in required)


def _conda_build(named: tuple[str, ...], requirements: Requirements) -> tuple[str, ...]:
    """What the file pins, and the rest of what any conda environment with Python has."""
    pinned = {requirement_name(line) for line in named}
    return (*named, *(line for line in _build((), requirements) if requirement_name(line) not in pinned))


def _dependency_lines(value: object, origin: str, warnings: list[str]) -> list[str]:
    lines: list[str] = []
    if isinstance(value, str):
        value = [value] if value.strip() else []
    for entry in _list(value):
        if isinstance(entry, dict):
            inner = entry.get("pip")
            if inner is None:
                # `- scikit-learn: 1.0` is a slip for `scikit-learn==1.0`
                lines.extend(
                    f"{name}=={version}" for name, version in entry.items() if isinstance(version, str)
                )
                warnings.append(
                    f"{origin}: a mapping stands where a requirement is expected; read as `name==version`."
                )
            else:
                warnings.append(
                    f"{origin}: `pip:` belongs to conda files; its entries are read as requirements."
                )
                lines.extend(_dependency_lines(inner, origin, warnings))
        elif isinstance(entry, str):
            lines.extend(logical_lines(entry))
    return lines


def _list(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else []


def _pylock_beside(folder: Path) -> Path | None:
    path = folder / "pylock.toml"
    return path if path.is_file() else None


def _relative(path: str, project_dir: Path) -> str:
    import os

    return os.path.relpath(path, project_dir.resolve())


_METADATA_FILES = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "MANIFEST.in")


def metadata_digest(package: Path) -> str:
    """Digest of the files that a local package's name, version and dependencies come from."""
    import hashlib

    sha = hashlib.sha256()
    for path in [package] if package.is_file() else [package / name for name in _METADATA_FILES]:
        try:
            content = path.read_bytes()
        except OSError:
            continue
        sha.update(f"{path.name}\0{len(content)}\0".encode())
        sha.update(content)
    return sha.hexdigest()


__all__ = ["DEFAULT_BUILD", "ORDER", "PythonInput", "metadata_digest", "read_input"]
