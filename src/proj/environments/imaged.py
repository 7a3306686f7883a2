"""What environments that are images have in common: how they are come by, and what is known of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from proj import events, images
from proj.environments.elsewhere import lock_elsewhere, minor_for, packages_spec
from proj.environments.inputs import read_input
from proj.environments.lock import LOCK_NAME
from proj.environments.python import input_notes, tell_taken, without_conda
from proj.environments.pythonspec import parse_python_spec
from proj.environments.select import by_conda, check_conda, check_manager
from proj.environments.toml import parse_toml
from proj.errors import EnvironmentFailedError, FailureCode, ImageError, UsageError
from proj.images import CodeSpec, Layer, PackagesSpec
from proj.model import EnvironmentFacts, ImageRuntime, Package

if TYPE_CHECKING:
    from proj.environments.inputs import PythonInput
    from proj.environments.lock import Lock
    from proj.images import BuiltImage, Resolved
    from proj.model import EnvironmentRequest, PreparedEnvironment

_ANY_PATCH = 99


def declared_packages(request: EnvironmentRequest) -> PythonInput | None:
    """The packages that a project declares; None where it declares none, or none are wanted.

    Raises:
        EnvironmentFailedError: They cannot be read.
        UsageError: They do not go with what is to make the environment.
    """
    check_manager(request.manager)
    declaration = request.declaration
    if request.manager == "local" or (declaration is not None and declaration.kind == "docker_env"):
        return None
    found = read_input(request)
    if found is None:
        return None
    check_conda(found, request.manager)
    if by_conda(found, request.manager):
        from proj.environments.conda.imaged import refuse_program

        refuse_program(request)
        return found
    return without_conda(found, request)


def is_conda(declared: PythonInput | None, request: EnvironmentRequest) -> bool:
    """Whether what is declared is made of conda packages."""
    return declared is not None and by_conda(declared, request.manager)


def base_name(declared: PythonInput | None, request: EnvironmentRequest) -> str:
    """The base image: the one asked for, else Python's official one for the version that is asked for.

    conda brings a Python of its own: then it is a small one that conda packages run on.
    """
    if request.image.base is None and is_conda(declared, request):
        from proj.environments.conda.imaged import DEFAULT_BASE

        return DEFAULT_BASE
    return request.image.base or f"python:{minor_for(declared, request)}-slim"


@contextlib.contextmanager
def base_advice(base: str, request: EnvironmentRequest) -> Iterator[None]:
    """Say of an image that nobody has named why it is asked for, and how another one is, if it cannot be had.

    Args:
        base: As `base_name` gave it.
        request: What is asked for.
    """
    try:
        yield
    except ImageError as error:
        if request.image.base is not None or error.code != FailureCode.IMAGE_PULL.value:
            raise
        advice = f"{base} is what the project's image is made on; --base-image names another one."
        raise ImageError(
            error.message,
            code=FailureCode.IMAGE_PULL,
            hint=" ".join(filter(None, (error.hint, advice))),
            details=error.details,
        ) from error


def here_first(base: str, request: EnvironmentRequest) -> str:
    """A base image as the engine has it, where it does and that will do; else by its name in a registry."""
    if request.target != "engine" or request.image.pull == "always" or base.startswith(("docker:", "oci:")):
        return base
    from proj.images.engine import Engine
    from proj.images.pulling import find

    if find(Engine(), base) is not None:
        return f"docker:{base}"
    if request.image.pull == "never":
        raise EnvironmentFailedError(
            f"The docker daemon has no image {base}.", hint="Build or load it, or leave out --pull never."
        )
    return base


def base_again(base: str, request: EnvironmentRequest) -> str:
    """The base of a run that is made again, by its digest where the registry still has that.

    Args:
        base: As `here_first` tells it.
        request: What is asked for.
    """
    then = request.image.recorded_base
    if then is None or base.startswith(("docker:", "oci:")):
        return base
    from proj.images.pulling import at_digest

    pinned = at_digest(base, then)
    try:
        images.resolve(pinned, platform=request.image.platform, insecure=request.image.insecure)
    except ImageError as error:
        events.warning(f"The base image that ran is not to be had: {error.message} {base} is used instead.")
        return base
    return pinned


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """The packages of a project for an image."""

    lock: str
    lock_name: str = LOCK_NAME
    lock_digest: str
    python: str | None
    """The version of the Python that has them."""
    as_of_s: int | None = None
    notes: tuple[str, ...] = ()
    packages: PackagesSpec | None = None
    layers: tuple[Layer, ...] = ()
    variables: Mapping[str, str | None] = {}
    """Of the image, for what is in `layers`."""
    wrapper: tuple[str, ...] = ()
    """See `ImageRuntime`."""


def contents_for(
    declared: PythonInput,
    resolved: Resolved,
    request: EnvironmentRequest,
    *,
    compress: bool = False,
    layers: bool = True,
) -> Contents:
    """The packages of a project, locked for an image.

    Args:
        declared: What the project declares.
        resolved: The base image.
        request: What is asked for.
        compress: Whether layers are packed with gzip.
        layers: Whether they are to be made, where the packages are not the image's assembler's to install.

    Raises:
        EnvironmentFailedError: They cannot be had for this image: the message says what to do.
        ImageError: A layer cannot be made.
    """
    if is_conda(declared, request):
        return _conda_contents(request, resolved, compress=compress, layers=layers)
    lock = _lock_for(declared, resolved, request)
    return Contents(
        lock=lock.text,
        lock_digest=lock.digest,
        python=resolved.python,
        as_of_s=lock.as_of_s,
        notes=(*input_notes(declared), *tell_taken(declared, lock), *lock.notes),
        packages=packages_spec(lock, declared, request),
    )


def _conda_contents(
    request: EnvironmentRequest, resolved: Resolved, *, compress: bool, layers: bool
) -> Contents:
    from proj.environments.conda.imaged import WRAPPER, CondaContents

    conda = CondaContents(request, resolved)
    made = (conda.layer(compress=compress),) if layers else ()
    return Contents(
        lock=conda.lock.text(),
        lock_name=conda.lock_name,
        lock_digest=conda.lock.digest,
        python=conda.python,
        as_of_s=conda.lock.as_of_s,
        notes=(*conda.notes, *(note for layer in made for note in layer.notes)),
        layers=made,
        variables=conda.variables,
        wrapper=WRAPPER,
    )


def _lock_for(declared: PythonInput, resolved: Resolved, request: EnvironmentRequest) -> Lock:
    asked = request.python or declared.python
    origin = "--python" if request.python else declared.origin
    if resolved.python is None:
        raise EnvironmentFailedError(
            f"{resolved.name} has no Python 3 on its PATH, which {declared.origin} needs.",
            hint="Choose another base image, such as --base-image python:3.11-slim.",
        )
    if asked is not None and not fits(resolved.python, asked):
        raise EnvironmentFailedError(
            f"{origin} asks for Python {asked}, and {resolved.name} has {resolved.python}.",
            hint=f"Choose another base image, or take what it has: --python {resolved.python}",
        )
    return lock_elsewhere(declared, request, python=resolved.python, target=resolved.target)


def fits(minor: str, asked: str) -> bool:
    """Whether a Python of a minor version is what is asked for; which patch it is does not matter."""
    spec = parse_python_spec(asked)
    version = tuple(int(number) for number in minor.split("."))
    if spec.minor is not None:
        return spec.minor == version
    return any(spec.allows((*version, patch)) for patch in (0, _ANY_PATCH))


def code_spec(request: EnvironmentRequest) -> CodeSpec:
    """The code as a layer."""
    return CodeSpec(root=request.root, project=request.subdir, outputs=request.outputs)


def delivered(
    built: BuiltImage, request: EnvironmentRequest, *, name: str, **known: object
) -> tuple[ImageRuntime, bool]:
    """An image that was assembled, where it can be run from: in the engine, or in a registry.

    Args:
        built: The image.
        request: Where it is needed.
        name: What it is called there.
        **known: Further fields of the runtime.

    Returns:
        The runtime, and whether the engine had it already.

    Raises:
        UsageError: A cluster needs a registry, and none is named.
        ImageError: It cannot be brought there.
    """
    fields = {
        "image_id": built.config_digest,
        "base": built.base.removeprefix("docker:"),
        "base_digest": built.base_digest,
        "made": "assembled",
        **known,
    }
    if request.target == "engine":
        from proj.environments.recorded import one_at_a_time
        from proj.images.engine import Engine
        from proj.images.pulling import find

        engine = Engine()
        with one_at_a_time("load"):
            there = find(engine, built.config_digest) is not None
            if not there:
                images.load(built, name)
        runtime = ImageRuntime(image=built.config_digest, name=name, **fields)  # type: ignore[arg-type]
        return runtime, there
    repository = request.image.repository
    if repository is None:
        raise UsageError(
            "The image has to be pushed to a registry that the cluster reaches.",
            hint='Name one: --backend-config \'{"repository-uri": "registry.example.org/team/name"}\'',
        )
    tag = built.manifest_digest.removeprefix("sha256:")[:12]
    pushed = images.push(built, f"{repository}:{tag}", insecure=request.image.insecure)
    return ImageRuntime(image=pushed, digest=built.manifest_digest, **fields), False  # type: ignore[arg-type]


def facts_of(prepared: PreparedEnvironment) -> EnvironmentFacts:
    """What is in an image, as far as its lock tells; nothing is started for it."""
    if prepared.lock is None:
        return EnvironmentFacts(python_version=prepared.python_version)
    text, packages = prepared.lock.decode("utf-8", "surrogateescape"), {}
    if prepared.lock_name != LOCK_NAME:
        from proj.environments.conda.explicit import pip_part
        from proj.environments.conda.imaged import packages_in_lock

        packages = {package.name: package for package in packages_in_lock(text)}
        text = pip_part(text)
    listed = parse_toml(text, LOCK_NAME).get("packages")
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict):
            package = Package(name=str(each.get("name")), version=str(each.get("version") or ""))
            packages[package.name] = package
    return EnvironmentFacts(
        python_version=prepared.python_version, packages=tuple(packages[name] for name in sorted(packages))
    )
