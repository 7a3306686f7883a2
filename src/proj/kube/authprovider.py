"""Credentials by `auth-provider`, which kubeconfigs had before credential plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proj.kube.errors import ConfigError

if TYPE_CHECKING:
    from proj.kube.kubeconfig import Connection

_BEARER = "Bearer "


def token_of(connection: Connection) -> str:
    """The token that Kubernetes' own Python client finds for a context, renewed if need be.

    Raises:
        ConfigError: That client is not installed, or finds none.
    """
    try:
        import kubernetes.config  # noqa: TID251  only here: importing it takes most of a second
    except ImportError as error:
        raise ConfigError(
            f"The context {connection.context!r} uses an auth-provider, which needs Kubernetes' own client.",
            hint="Install it: `pip install 'proj[kubernetes]'`; or use a credential plugin (`exec`).",
        ) from error
    files = ":".join(map(str, connection.files))
    try:
        load: Any = kubernetes.config.new_client_from_config
        client = load(config_file=files, context=connection.context)
        # What it calls the key that it keeps the token under has changed between its versions.
        found = client.configuration.auth_settings().get("BearerToken", {}).get("value")
    except Exception as error:  # whatever a provider raises
        raise ConfigError(
            f"The auth-provider of the context {connection.context!r} failed: {type(error).__name__}."
        ) from error
    if not found:
        raise ConfigError(f"The auth-provider of the context {connection.context!r} yields no token.")
    return str(found).removeprefix(_BEARER)
