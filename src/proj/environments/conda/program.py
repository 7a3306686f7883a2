"""conda, mamba and micromamba: asked to do what rattler does, where they are named or it is not here."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from proj import events
from proj.environments.conda.channels import access, at_mirror
from proj.environments.conda.check import sha256_of
from proj.environments.conda.messages import UNSAFE_HINT, Locked
from proj.environments.conda.service import INSTALL_HINT, is_installed
from proj.environments.conda.urls import bare
from proj.environments.failures import last_lines
from proj.environments.uv import work_folder
from proj.errors import EnvironmentFailedError, UsageError
from proj.paths import find_program
from proj.process import redact, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from proj.environments.conda.channels import Access
    from proj.environments.conda.declared import CondaProject
    from proj.environments.conda.lock import CondaLock
    from proj.model import EnvironmentRequest

_REMOVED = ("CONDA_PREFIX", "CONDA_DEFAULT_ENV", "CONDA_SHLVL", "PYTHONHOME", "PYTHONPATH")
_NAMES = ("conda", "mamba", "micromamba")
_TOLD = re.compile(
    r"^\s*(?:Collecting|Solving|Downloading|Preparing|Verifying|Executing|Linking|Transaction)\b"
)


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A program of the conda family."""

    path: str
    kind: str
    """`conda` or `micromamba`, by which of the two its options are like."""

    def solve(
        self, project: CondaProject, platform: str, request: EnvironmentRequest, prefix: Path
    ) -> CondaLock:
        """Have the program make the environment in a folder of its own, and read off what it took.

        Scripts of packages run: no program of the family links without them.

        Args:
            project: The declaration.
            platform: This machine's.
            request: The request.
            prefix: The folder, which is made.

        Raises:
            EnvironmentFailedError: It cannot, or a package has put files elsewhere.
        """
        from proj.environments.conda.lock import CondaLock

        count, program = len(project.specs), Path(self.path).name
        events.step(f"Solving {count} package{'s' * (count != 1)} of {project.origin} by {program}")
        notes = []
        if request.as_of_s is not None:
            notes.append(f"{Path(self.path).name} knows no date: conda packages are those of today.")
        with work_folder() as folder:
            file = folder / "environment.yml"
            file.write_text(environment_file(project), encoding="utf-8")
            if self.kind == "micromamba":
                argv = ["create", "--yes", "--prefix", str(prefix), "--file", str(file)]
            else:
                argv = ["env", "create", "--quiet", "--prefix", str(prefix), "--file", str(file)]
            self._call(argv, f"Cannot solve {project.origin} for {platform}", folder, project, request)
        _refuse_outside(prefix)
        packages = linked(prefix, project.mirrors)
        return CondaLock(platform=platform, packages=packages, notes=tuple(notes))

    def install(
        self, lock: CondaLock, prefix: Path, project: CondaProject, request: EnvironmentRequest
    ) -> None:
        """Have the program link the conda packages of a lock into a prefix.

        Raises:
            EnvironmentFailedError: It cannot, or a package has put files elsewhere.
        """
        mirrors = project.mirrors
        with work_folder() as folder:
            file = folder / "explicit.txt"
            lines = ["@EXPLICIT"]
            for locked in lock.packages:
                url = at_mirror(locked.url, mirrors)
                # Older versions of conda know MD5 alone behind `#`: what they took is compared below.
                lines.append(f"{url}#{locked.md5}" if locked.md5 else url)
            file.write_text("\n".join(lines) + "\n", encoding="utf-8")
            file.chmod(0o600)
            argv = ["create", "--yes", "--quiet", "--prefix", str(prefix), "--file", str(file)]
            self._call(
                argv, f"Cannot install the conda packages of {project.origin}", folder, project, request
            )
        _refuse_outside(prefix)
        _compare(lock, prefix, mirrors)

    def _call(
        self,
        arguments: Sequence[str],
        what: str,
        folder: Path,
        project: CondaProject,
        request: EnvironmentRequest,
    ) -> None:
        from proj.environments.uv import progress_listener

        offline = ["--offline"] if project.network(request).offline else []
        variables: dict[str, str | None] = {
            **dict.fromkeys(_REMOVED),
            "CONDA_ALWAYS_YES": "true", "CONDA_CHANNEL_PRIORITY": "strict",
            "CONDA_EXTRA_SAFETY_CHECKS": "true",
            # The file's channels are all: newer versions of conda take `nodefaults` for the name of one.
            "CONDA_DEFAULT_CHANNELS": ",".join(_asked(project.channels[:1], project)),
            "MAMBA_ALWAYS_YES": "true", "MAMBA_CHANNEL_PRIORITY": "strict", "NO_COLOR": "1",
        }  # fmt: skip
        completed = run(
            [self.path, *arguments, *offline], cwd=folder, env=variables, check=False,
            on_stderr=progress_listener(_TOLD, dict.fromkeys(project.secrets, "***")),
        )  # fmt: skip
        if completed.returncode == 0:
            return
        said = redact(completed.stderr or completed.stdout, project.secrets)
        raise EnvironmentFailedError(
            f"{what}: {Path(self.path).name} ended with exit code {completed.returncode}.",
            hint="Without --conda-exe and --env-manager conda, the packages are solved without it.",
            details=last_lines(said),
        )


def chosen_program(request: EnvironmentRequest) -> Program | None:
    """The program that makes conda environments for a request; None for rattler.

    In this order: `--conda-exe`; for `--env-manager conda` what `MLFLOW_CONDA_HOME` or `CONDA_EXE` names, as
    MLflow does; rattler; conda, mamba or micromamba on PATH.

    Raises:
        UsageError: `--conda-exe` names no program.
        EnvironmentFailedError: There is nothing that can make one.
    """
    if request.conda_exe is not None:
        path = request.conda_exe if os.sep in request.conda_exe else find_program(request.conda_exe)
        if path is None or not os.access(path, os.X_OK):
            raise UsageError(
                f"--conda-exe names {request.conda_exe}, which is no program.", hint="Give its path."
            )
        return _program(path)
    if request.manager == "conda":
        path = _mlflow_program()
        if path is not None:
            return _program(path)
    if is_installed():
        return None
    for name in _NAMES:
        path = find_program(name)
        if path is not None:
            return _program(path)
    raise EnvironmentFailedError(
        "There is nothing here that installs conda packages.",
        hint=f"{INSTALL_HINT}; --env-manager uv takes what PyPI has of them.",
    )


def _mlflow_program() -> str | None:
    """MLflow's rule (`get_conda_bin_executable` in mlflow/utils/conda.py), if one of its variables is set."""
    name = os.environ.get("MLFLOW_CONDA_CREATE_ENV_CMD") or "conda"
    home, executable = os.environ.get("MLFLOW_CONDA_HOME"), os.environ.get("CONDA_EXE")
    if home:
        path: str | None = str(Path(home) / "bin" / name)
    elif executable:
        beside = Path(executable).parent / name
        path = str(beside) if "MLFLOW_CONDA_CREATE_ENV_CMD" in os.environ else executable
    elif "MLFLOW_CONDA_CREATE_ENV_CMD" in os.environ:
        path = find_program(name) or name
    else:
        return None
    if path is None or not os.access(path, os.X_OK):
        raise EnvironmentFailedError(
            f"MLFLOW_CONDA_HOME, CONDA_EXE or MLFLOW_CONDA_CREATE_ENV_CMD names {path}, which is no program.",
            hint="Correct or unset it; without it the packages are solved without conda.",
        )
    return path


def _program(path: str) -> Program:
    return Program(path=path, kind="micromamba" if "micromamba" in Path(path).name else "conda")


def environment_file(project: CondaProject) -> str:
    """The conda packages of a project as an environment.yml that every program of the family reads alike.

    With the channels' secrets: for a folder that nobody else can read.
    """
    channels = _asked((*project.channels, *project.more_channels), project)
    urls = {name: _asked_clean(url, project) for name, url in project.spec_channels}
    specs = [spec.text(channel=urls.get(spec.channel, "")) for spec in project.specs]
    return json.dumps({"channels": channels, "dependencies": specs})  # JSON is YAML


def _asked(channels: Iterable[Access], project: CondaProject) -> list[str]:
    """The URLs by which channels are asked, with secrets."""
    mirrors = project.mirrors
    return [mirrors.get(each.url, (each.secret_url,))[0] for each in channels]


def _asked_clean(url: str, project: CondaProject) -> str:
    """The URL by which a channel is asked, as the program itself writes it down."""
    return access(project.mirrors.get(url, (url,))[0]).url


def linked(prefix: Path, mirrors: Mapping[str, tuple[str, ...]]) -> tuple[Locked, ...]:
    """The packages of a conda environment, in the order in which their needs are met.

    Args:
        prefix: The environment.
        mirrors: Where its channels were asked: the packages are told by the channels' own URLs.
    """
    channels = {access(others[0]).url: channel for channel, others in mirrors.items()}
    records = {record["name"]: record for record in _records(prefix)}
    ordered: dict[str, Locked] = {}

    def take(name: str, above: tuple[str, ...]) -> None:
        record = records.get(name)
        if record is None or name in ordered or name in above:
            return
        for need in record.get("depends", []):
            take(need.split()[0], (*above, name))
        channel, _, rest = bare(record["url"]).rpartition("/")
        channel, _, subdir = channel.rpartition("/")
        url = f"{channels.get(channel, channel)}/{subdir}/{rest}"
        ordered[name] = Locked(url=url, sha256=record.get("sha256"), md5=record.get("md5"))

    for name in records:
        take(name, ())
    return tuple(ordered.values())


def _records(prefix: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted((prefix / "conda-meta").glob("*.json"))]


def _refuse_outside(prefix: Path) -> None:
    """See that what a program has linked lies in the environment: it takes the packages' word for that."""
    root = prefix.resolve()
    inside: dict[Path, bool] = {}
    for record in _records(prefix):
        for path in map(str, record.get("files", ())):
            folder = (prefix / path).parent
            if folder not in inside:
                inside[folder] = folder.resolve().is_relative_to(root)
            if ".." in Path(path).parts or not inside[folder]:
                raise EnvironmentFailedError(
                    f"{record.get('fn') or record['name']} is not safe to install: it has written {path}, "
                    "which is outside of the environment.",
                    hint=f"Look at what is there now. {UNSAFE_HINT}",
                )


def _compare(lock: CondaLock, prefix: Path, mirrors: Mapping[str, tuple[str, ...]]) -> None:
    """See that a program took what is locked."""
    found = {bare(record["url"]): record for record in _records(prefix)}
    for locked in lock.packages:
        record = found.get(bare(at_mirror(locked.url, mirrors))) or found.get(locked.url)
        if record is None:
            raise EnvironmentFailedError(f"{locked.url} is locked, and was not installed.")
        if not locked.sha256:
            continue
        digest = record.get("sha256") or _digest(record)
        if digest is None:
            raise EnvironmentFailedError(
                f"{locked.url} cannot be compared with the lock: the program tells no SHA-256 of it.",
                hint="Have it forget the package (`conda clean --packages`), so that it is downloaded anew.",
            )
        if locked.sha256 != digest:
            raise EnvironmentFailedError(
                f"{locked.url} is not the package that is locked: its SHA-256 is another.",
                hint="The channel has another file under that name now: lock anew with --upgrade.",
            )


def _digest(record: Mapping[str, Any]) -> str | None:
    """SHA-256 of the archive that a package was linked from; None where it is gone."""
    try:
        return sha256_of(Path(record["package_tarball_full_path"]))
    except (OSError, KeyError, TypeError):
        return None
