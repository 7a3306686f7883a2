"""`proj check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from proj import projectfile, source
from proj.cli import output
from proj.cli.options import backend_config, kubernetes_options
from proj.errors import EXIT_USAGE, ProjError, UsageError
from proj.lint import inspect, problems_only
from proj.model import Diagnostic, ImageRequest, Severity
from proj.projectfile.files import FILE_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.model import Checkout, Project

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a project file."""

    file: str | None
    """The project file; None for a folder without one."""
    diagnostics: tuple[Diagnostic, ...]
    errors: int
    warnings: int
    exit_code: int

    def text(self) -> Iterator[output.Block]:
        """Yield each finding with its line, then a summary."""
        for diagnostic in self.diagnostics:
            word = f"{diagnostic.severity.value}:"
            before, _, after = projectfile.render(diagnostic).partition(word)
            yield output.Line(before, word, after, _COLOURS[diagnostic.severity])
        counts = [_count(self.errors, "error"), _count(self.warnings, "warning")]
        told = ", ".join(count for count in counts if count) or "no problems"
        yield f"{self.file or 'No project file'}: {told}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""


@click.command()
@click.argument("uri", default=".")
@click.option("-v", "--version", metavar="REF", help="Branch, tag or commit of a git repository.")
@click.option("-b", "--backend", metavar="NAME", help="Ask there too: kubernetes.")
@click.option("-c", "--backend-config", metavar="FILE|JSON", help="The backend's settings.")
@kubernetes_options
@click.option("--base-image", metavar="IMAGE", help="As for `proj run`.")
@click.option("--strict", is_flag=True, help="Let warnings fail the check too.")
@output.json_option
def command(
    uri: str, version: str | None, base_image: str | None, strict: bool, **options: Any
) -> CheckResult:
    """Check the project file of URI (default: this folder) without running anything.

    With --backend kubernetes the cluster is asked too: whether it can be reached, your rights, quotas, all
    that the settings name, and what it says of the Job and its pod; so is the registry of `repository-uri`,
    and variables that the run takes from here have to be set. Nothing is created.

    Exit code 0: nothing wrong, or warnings only; 2: errors.
    """
    here = Path.cwd()
    if Path(uri).name.lower() in FILE_NAMES and Path(uri).is_file():
        uri = str(Path(uri).parent)
    checkout = source.fetch(uri, version=version, cwd=here)
    try:
        file, found = _findings(checkout.project_dir)
        config = backend_config(options)
        if options["backend"] is not None:
            found += _of_backend(options["backend"], config, base_image, checkout, told=found)
        base = checkout.root if checkout.private else here
    finally:
        source.release(checkout)
    shown = tuple(_relative(diagnostic, base) for diagnostic in found)
    return CheckResult(
        file=None if file is None else _shorter(str(file), base),
        diagnostics=shown,
        errors=sum(diagnostic.severity is Severity.ERROR for diagnostic in shown),
        warnings=sum(diagnostic.severity is Severity.WARNING for diagnostic in shown),
        exit_code=EXIT_USAGE if problems_only(shown, strict=strict) else 0,
    )


def _of_backend(
    backend: str, config: str, base_image: str | None, checkout: Checkout, *, told: tuple[Diagnostic, ...]
) -> tuple[Diagnostic, ...]:
    """What the backend finds that would run the project.

    Args:
        backend: Its name.
        config: The user's settings, a JSON object.
        base_image: What the user wants images to be made on.
        checkout: The project.
        told: What is said of the project file already.
    """
    from proj.backends import BACKENDS

    preflight = getattr(BACKENDS.load(backend), "preflight", None)
    if preflight is None:
        raise UsageError(f"The backend {backend!r} has nothing to check.", hint="Known is kubernetes.")
    try:
        project = projectfile.load(checkout.project_dir)
    except ProjError:
        if problems_only(told, strict=False):
            return ()
        raise

    def find_image(request: ImageRequest) -> str:
        return _image(project, checkout, request)

    found: tuple[Diagnostic, ...] = preflight(config, project, ImageRequest(base=base_image), find_image)
    return found


def _image(project: Project, checkout: Checkout, image: ImageRequest) -> str:
    """The image that the project would run in, before anything is put on top of it."""
    from proj.environments.imaged import declared_packages
    from proj.environments.recipe import base_image as image_of
    from proj.model import EnvironmentRequest

    request = EnvironmentRequest(
        project_dir=checkout.project_dir,
        root=checkout.root,
        declaration=project.environment,
        image=image,
    )
    return image_of(declared_packages(request), request)


def _findings(directory: Path) -> tuple[Path | None, tuple[Diagnostic, ...]]:
    file, found = inspect(directory)
    return file, found if file is not None else (_without_file(directory),)


def _without_file(directory: Path) -> Diagnostic:
    scripts = projectfile.scripts(directory)
    if not scripts:
        return Diagnostic(
            severity=Severity.ERROR,
            code="no-project",
            message=f"{directory} holds neither an MLproject file nor a script",
            fix="Write one with `proj init`.",
        )
    return Diagnostic(
        severity=Severity.NOTE,
        code="no-project-file",
        message=f"no MLproject file; these scripts can be run: {', '.join(scripts[:20])}",
        fix="Write one with `proj init`.",
    )


def _relative(diagnostic: Diagnostic, base: Path) -> Diagnostic:
    if diagnostic.file is None:
        return diagnostic
    return msgspec.structs.replace(diagnostic, file=_shorter(diagnostic.file, base))


def _shorter(file: str, base: Path) -> str:
    path = Path(file)
    return str(path.relative_to(base)) if path.is_relative_to(base) else file
