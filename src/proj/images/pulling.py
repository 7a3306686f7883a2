"""Images that the engine has, or gets from a registry."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote

import msgspec

from proj import events
from proj.errors import FailureCode, ImageError
from proj.images.engine import Engine, EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Pull = Literal["always", "missing", "never"]
_NOT_FOUND: Final = 404
_DENIED: Final = r"(?i)denied|unauthorized|authentication required|no basic auth"
_ABSENT: Final = r"(?i)not found|manifest unknown|does not exist|no such"
_FULL: Final = r"(?i)no space left"


class EngineImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that the engine has."""

    image_id: str
    digest: str | None
    """`sha256:<hex>` of its manifest in the registry of its name; None where it never was in one."""
    user: str | None = None
    """Whom it runs as by itself."""


def find(engine: Engine, name: str) -> EngineImage | None:
    """An image that the engine has; None where it has none of that name.

    Raises:
        ImageError: The engine does not answer.
    """
    try:
        found: dict[str, Any] = engine.ask("GET", f"/images/{quote(name, safe='/:@')}/json")
    except EngineError as error:
        if error.status == _NOT_FOUND:
            return None
        raise ImageError(f"The docker daemon cannot tell of the image {name}: {error.said}") from error
    return EngineImage(
        image_id=found["Id"],
        digest=_digest(name, found.get("RepoDigests") or ()),
        user=(found.get("Config") or {}).get("User") or None,
    )


def at_digest(name: str, digest: str) -> str:
    """The image of a digest, in the repository that a name is in."""
    return f"{_split(name)[0]}@{digest}"


def ensure(
    engine: Engine,
    name: str,
    *,
    pull: Pull,
    platform: str | None = None,
    credentials: Mapping[str, str] | None = None,
) -> EngineImage:
    """An image, brought from its registry if that is allowed and needed.

    Args:
        engine: The engine.
        name: As in `docker run`.
        pull: Whether to ask the registry anyway, only if the image is not there, or not at all.
        platform: Such as `linux/amd64`; None: the engine's.
        credentials: `username` and `password`; None or empty: those that `docker login` has kept.

    Raises:
        ImageError: It cannot be had; `image_pull`.
    """
    found = None if pull == "always" else find(engine, name)
    if found is not None:
        return found
    if pull == "never":
        raise ImageError(
            f"The docker daemon has no image {name}.",
            code=FailureCode.IMAGE_PULL,
            hint="Build or load it, or leave out --pull never.",
        )
    _bring(name, platform, dict(credentials or {}))
    found = find(engine, name)
    if found is None:
        raise ImageError(f"The docker daemon did not keep the image {name}.", code=FailureCode.IMAGE_PULL)
    return found


def _bring(name: str, platform: str | None, credentials: dict[str, str]) -> None:
    from proj.images.daemon import connected

    events.step(f"Pulling {name}")
    repository, tag = _split(name)
    with connected() as client:
        from docker import errors

        try:
            said = client.pull(
                repository,
                tag=tag,
                stream=True,
                decode=True,
                platform=platform,
                auth_config=credentials or None,
            )
            for message in said:
                if message.get("error"):
                    raise _refused(name, str(message["error"]))
                _tell(message)
        except errors.APIError as error:
            raise _refused(name, str(error.explanation or error)) from error


def _tell(message: dict[str, Any]) -> None:
    detail = message.get("progressDetail") or {}
    layer, status = message.get("id"), message.get("status")
    if status in ("Downloading", "Extracting") and detail.get("total"):
        events.progress(f"{status} {layer}", int(detail.get("current") or 0), int(detail["total"]))
    elif status and layer:
        events.progress(f"{layer}: {status}")


def _split(name: str) -> tuple[str, str | None]:
    """Repository, and tag or digest; without one, docker would pull all tags."""
    if "@" in name:
        repository, _, digest = name.partition("@")
        return repository, digest
    head, _, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return (f"{head}/{repository}" if head else repository), tag or "latest"


def _refused(name: str, said: str) -> ImageError:
    hint = None
    reason = said.strip().splitlines()[-1][:300]
    if re.search(_DENIED, said):
        hint = "Log in: docker login. A registry says the same of an image that is not there."
    elif re.search(_ABSENT, said):
        hint = "Check its name and tag; an image of this machine only needs to be built first."
    elif re.search(_FULL, said):
        hint = "Make room, for instance with `docker system prune`."
    else:
        hint = "Is the registry reached from the docker daemon? --pull never uses what is there."
    return ImageError(f"The image {name} cannot be pulled: {reason}", code=FailureCode.IMAGE_PULL, hint=hint)


def _digest(name: str, digests: Iterator[str] | tuple[str, ...] | list[str]) -> str | None:
    """The digest under which the registry of a name knows an image."""
    repository = _split(name)[0]
    known = [each for each in digests if "@" in each]
    for each in known:
        where, _, digest = each.partition("@")
        if where in (repository, f"docker.io/{repository}", f"docker.io/library/{repository}"):
            return digest
    return None
