"""Credentials for registries: what `docker login` left, in docker's configuration or a helper program."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

from proj.errors import ImageError
from proj.model import _Value


class Credentials(_Value, frozen=True):
    """How to greet a registry."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    """A token that is exchanged for others; instead of user and password."""

    @property
    def anonymous(self) -> bool:
        """Whether there are none."""
        return not (self.username or self.identity_token)

    def __repr__(self) -> str:
        """Say nothing that is secret."""
        return f"Credentials(username={self.username!r}, …)"


ANONYMOUS = Credentials()


def find_credentials(host: str) -> Credentials:
    """The credentials for a registry that docker's configuration has.

    Args:
        host: As in `Reference.host`.

    Raises:
        ImageError: The configuration cannot be read, or a helper that it names fails.
    """
    path = _config_path()
    if not path.is_file():
        return ANONYMOUS
    from docker import auth, errors

    try:
        config = json.loads(path.read_bytes())
        if not isinstance(config, dict):
            raise ValueError("it is no JSON object")  # noqa: TRY301, TRY004  told like what json finds wrong
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a missing helper is told by the error that follows
            loaded = auth.load_config(config_dict=config)
            found = loaded.resolve_authconfig(host) or {}
    except OSError as error:
        raise ImageError(f"Cannot read {path}: {error.strerror}.") from error
    except errors.DockerException as error:
        raise ImageError(
            f"The credential helper that {path} names for {host} failed.",
            details=(str(error.__cause__ or error),),
            hint=f"Repair it, or log in anew: docker login {host}",
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # what json and base64 say may hold what stands there, which is secret
        raise ImageError(
            f"{path} is no configuration of docker ({type(error).__name__}).",
            hint="Repair or remove it; `docker login` writes it.",
        ) from error
    lowered = {str(name).lower(): value for name, value in found.items()}
    return Credentials(
        username=lowered.get("username") or "",
        password=lowered.get("password") or "",
        identity_token=lowered.get("identitytoken") or "",
    )


def _config_path() -> Path:
    folder = os.environ.get("DOCKER_CONFIG")
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"
