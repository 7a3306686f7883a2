"""Which cluster, as whom: kubeconfig files, their contexts, and what a pod finds in itself."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from proj.kube.errors import ConfigError

T = TypeVar("T")
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class _Named(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    name: str
    cluster: Mapping[str, Any] | None = None
    user: Mapping[str, Any] | None = None
    context: Mapping[str, Any] | None = None


class _File(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    current_context: str | None = None
    clusters: tuple[_Named, ...] | None = None
    users: tuple[_Named, ...] | None = None
    contexts: tuple[_Named, ...] | None = None


class ExecVariable(msgspec.Struct, frozen=True, kw_only=True):
    """A variable for a credential plugin."""

    name: str
    value: str


class ExecPlugin(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A program that yields credentials (`client.authentication.k8s.io`)."""

    command: str
    args: tuple[str, ...] | None = None
    env: tuple[ExecVariable, ...] | None = None
    api_version: str = "client.authentication.k8s.io/v1"
    install_hint: str | None = None
    provide_cluster_info: bool = False
    interactive_mode: str | None = None


class User(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """Who asks. Data come decoded; files are absolute paths."""

    token: str | None = None
    token_file: Path | None = msgspec.field(name="tokenFile", default=None)
    client_certificate: Path | None = None
    client_key: Path | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    username: str | None = None
    password: str | None = None
    exec: ExecPlugin | None = None
    auth_provider: Mapping[str, Any] | None = None
    impersonate: str | None = msgspec.field(name="as", default=None)
    impersonate_uid: str | None = msgspec.field(name="as-uid", default=None)
    impersonate_groups: tuple[str, ...] | None = msgspec.field(name="as-groups", default=None)
    impersonate_extra: Mapping[str, tuple[str, ...]] | None = msgspec.field(
        name="as-user-extra", default=None
    )

    def __repr__(self) -> str:
        return "User(…)"


class Cluster(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """Where the API server is, and how it proves to be it."""

    server: str
    certificate_authority: Path | None = None
    certificate_authority_data: str | None = None
    insecure_skip_tls_verify: bool = False
    tls_server_name: str | None = None
    proxy_url: str | None = None


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster, a user of it, and the namespace that counts where nobody names one."""

    cluster: Cluster
    user: User
    namespace: str = "default"
    context: str | None = None
    """Its name in the kubeconfig; None: from inside the cluster."""
    files: tuple[Path, ...] = ()
    """The kubeconfig files that it comes from."""


def connection(context: str | None = None) -> Connection:
    """Find out how to reach a cluster: by a kubeconfig, else as a pod in it.

    Args:
        context: Name of a context; None: the current one.

    Raises:
        ConfigError: There is none, or it cannot be meant as it stands.
    """
    files = _files()
    found = [path for path in files if path.is_file()]
    if not found:
        if context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            return _in_cluster()
        raise ConfigError(
            f"There is no kubeconfig: {', '.join(map(str, files))}.",
            hint="Set KUBECONFIG, or write ~/.kube/config as your cluster's manual says.",
        )
    merged = [(path, _read(path)) for path in found]
    name = context or next((file.current_context for _, file in merged if file.current_context), None)
    names = [entry.name for _, file in merged for entry in file.contexts or ()]
    if name is None:
        raise ConfigError(
            f"No context is chosen in {', '.join(map(str, found))}.",
            hint=f"Choose one by --context: {', '.join(names) or 'there is none'}.",
        )
    if name not in names:
        raise ConfigError(
            f"There is no context {name!r} in {', '.join(map(str, found))}.",
            hint=f"There are: {', '.join(names) or 'none'}.",
        )
    chosen = _entry(merged, "contexts", name)[1]
    cluster_name, user_name = str(chosen.get("cluster", "")), str(chosen.get("user", ""))
    cluster_folder, cluster = _entry(merged, "clusters", cluster_name)
    user_folder, user = _entry(merged, "users", user_name) if user_name else (Path(), {})
    return Connection(
        cluster=_cluster(cluster, cluster_folder, cluster_name),
        user=_convert(_absolute(user, user_folder), User, f"the user {user_name!r}"),
        namespace=str(chosen.get("namespace") or "default"),
        context=name,
        files=tuple(found),
    )


def decoded(data: str, what: str) -> bytes:
    """Base64 to bytes.

    Raises:
        ConfigError: It is none.
    """
    try:
        return base64.b64decode(data, validate=False)
    except (binascii.Error, ValueError) as error:
        raise ConfigError(f"{what} of the kubeconfig is no base64.") from error


def _files() -> list[Path]:
    configured = os.environ.get("KUBECONFIG")
    if configured:
        return [Path(entry).expanduser().absolute() for entry in configured.split(os.pathsep) if entry]
    return [Path.home() / ".kube" / "config"]


def _read(path: Path) -> _File:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = yaml.load(path.read_bytes(), Loader=loader)  # noqa: S506  a safe loader
    except OSError as error:
        raise ConfigError(f"Cannot read the kubeconfig {path}: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"The kubeconfig {path} is no YAML: {error}") from error
    return _convert({} if content is None else content, _File, f"the kubeconfig {path}")


def _entry(merged: list[tuple[Path, _File]], kind: str, name: str) -> tuple[Path, Mapping[str, Any]]:
    """An entry and the folder of its file; of two with one name the first counts, as for kubectl."""
    for path, file in merged:
        for entry in getattr(file, kind) or ():
            if entry.name == name:
                return path.parent, getattr(entry, kind[:-1]) or {}
    raise ConfigError(f"The kubeconfig has no {kind[:-1]} {name!r}.")


_PATHS = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


def _absolute(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Relative paths are relative to the file that they stand in."""
    paths = {name: str(folder / str(entry[name])) for name in _PATHS if entry.get(name)}
    return {**entry, **paths}


def _cluster(entry: Mapping[str, Any], folder: Path, name: str) -> Cluster:
    cluster = _convert(_absolute(entry, folder), Cluster, f"the cluster {name!r}")
    if not cluster.server.startswith(("https://", "http://")):
        raise ConfigError(f"The server of the cluster {name!r} is no URL: {cluster.server!r}.")
    return cluster


def _convert(value: object, kind: type[T], what: str) -> T:
    try:
        return msgspec.convert(value, kind, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        # Its text holds types and places, never values: there are secrets here.
        raise ConfigError(f"Cannot make sense of {what}: {error}.") from error


def _path(kind: type, value: object) -> Path:
    if kind is not Path:
        raise NotImplementedError(kind)
    return Path(str(value))


def _in_cluster() -> Connection:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if ":" in host else host
    namespace = _SERVICE_ACCOUNT / "namespace"
    try:
        name = namespace.read_text().strip()
    except OSError as error:
        raise ConfigError(
            f"This pod has no service account's token: {namespace}: {error.strerror}.",
            hint="Set automountServiceAccountToken for it, or give a kubeconfig.",
        ) from error
    return Connection(
        cluster=Cluster(server=f"https://{host}:{port}", certificate_authority=_SERVICE_ACCOUNT / "ca.crt"),
        user=User(token_file=_SERVICE_ACCOUNT / "token"),
        namespace=name or "default",
    )
