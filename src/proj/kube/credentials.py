"""How requests to an API server are greeted: tokens, passwords, certificates, credential plugins."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
from urllib3 import HTTPHeaderDict

from proj.errors import ProjError
from proj.kube.errors import ConfigError
from proj.kube.kubeconfig import decoded

if TYPE_CHECKING:
    from proj.kube.kubeconfig import Connection, ExecPlugin, User

_TOKEN_FILE_S = 60.0
"""How long the content of a token file counts: the kubelet renews it."""
_EARLY_S = 60.0
_PLUGIN_TIMEOUT_S = 120.0


class _ExecStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    token: str | None = None
    expiration_timestamp: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None


class _ExecCredential(msgspec.Struct, frozen=True, kw_only=True):
    status: _ExecStatus | None = None


class Credentials:
    """What is sent with each request; safe to use from many threads.

    Args:
        connection: Whose they are.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._token: str | None = None
        self._until_s = 0.0
        self._plugin_certificate: tuple[bytes, bytes] | None = None
        self.certificates = 0
        """How many a plugin has yielded; connections are made with the last one."""

    def headers(self, *, renew: bool = False) -> HTTPHeaderDict:
        """Headers for a request.

        Args:
            renew: Whether what is remembered was refused just now.

        Raises:
            ConfigError: They cannot be had.
        """
        user = self._connection.user
        headers = _impersonation(user)
        token = self._current_token(renew=renew)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        elif user.username is not None:
            pair = f"{user.username}:{user.password or ''}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        return headers

    def tls(self) -> ssl.SSLContext:
        """What a connection is secured by.

        Raises:
            ConfigError: Certificates or keys are missing or damaged.
        """
        cluster = self._connection.cluster
        data = cluster.certificate_authority_data
        try:
            if cluster.insecure_skip_tls_verify:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            elif data:
                text = decoded(data, "certificate-authority-data").decode("ascii", "replace")
                context = _lenient(ssl.create_default_context(cadata=text))
            elif cluster.certificate_authority is not None:
                file = str(cluster.certificate_authority)
                context = _lenient(ssl.create_default_context(cafile=file))
            else:
                context = ssl.create_default_context()
            self._add_certificate(context)
        except (OSError, ssl.SSLError) as error:  # SSLError is one, with words of its own
            raise ConfigError(
                f"The certificates of the context {self._connection.context or 'in-cluster'!r} "
                f"cannot be used: {error}"
            ) from error
        return context

    def _add_certificate(self, context: ssl.SSLContext) -> None:
        user = self._connection.user
        self._current_token(renew=False)  # a plugin may yield a certificate
        if self._plugin_certificate is not None:
            _load_pair(context, *self._plugin_certificate)
        elif user.client_certificate_data or user.client_key_data:
            certificate = _data_or_file(user.client_certificate_data, user.client_certificate)
            _load_pair(context, certificate, _data_or_file(user.client_key_data, user.client_key))
        elif user.client_certificate is not None:
            key = user.client_key
            context.load_cert_chain(str(user.client_certificate), str(key) if key else None)

    def _current_token(self, *, renew: bool) -> str | None:
        user = self._connection.user
        if user.exec is None and user.token_file is None and user.auth_provider is None:
            return user.token
        with self._lock:
            if renew or time.time() >= self._until_s:
                if user.exec is not None:
                    self._ask_plugin(user.exec)
                elif user.auth_provider is not None:
                    self._ask_client_library()
                else:
                    self._read_token_file()
            return self._token

    def _read_token_file(self) -> None:
        file = self._connection.user.token_file
        assert file is not None  # noqa: S101  asked by the caller
        try:
            self._token = file.read_text().strip()
        except OSError as error:
            raise ConfigError(f"Cannot read the token file {file}: {error.strerror}.") from error
        self._until_s = time.time() + _TOKEN_FILE_S

    def _ask_plugin(self, plugin: ExecPlugin) -> None:
        status = _run_plugin(plugin, self._connection)
        self._token = status.token
        if status.client_certificate_data and status.client_key_data:
            found = (status.client_certificate_data.encode(), status.client_key_data.encode())
            self.certificates += found != self._plugin_certificate
            self._plugin_certificate = found
        self._until_s = _expiry_s(status.expiration_timestamp)

    def _ask_client_library(self) -> None:
        """Leave `auth-provider`, what there was before credential plugins, to Kubernetes' own client."""
        from proj.kube.authprovider import token_of

        self._token = token_of(self._connection)
        self._until_s = time.time() + _TOKEN_FILE_S


def _impersonation(user: User) -> HTTPHeaderDict:
    headers = HTTPHeaderDict()
    if user.impersonate:
        headers["Impersonate-User"] = user.impersonate
    if user.impersonate_uid:
        headers["Impersonate-Uid"] = user.impersonate_uid
    for group in user.impersonate_groups or ():
        headers.add("Impersonate-Group", group)
    for name, values in (user.impersonate_extra or {}).items():
        for value in values:
            headers.add(f"Impersonate-Extra-{quote(name, safe='')}", value)
    return headers


def _lenient(context: ssl.SSLContext) -> ssl.SSLContext:
    """As kubectl is: clusters' own authorities lack what Python 3.13 asks of the web's."""
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _expiry_s(timestamp: str | None) -> float:
    if timestamp is None:
        return float("inf")
    from proj.kube.objects import seconds

    return (seconds(timestamp) or 0.0) - _EARLY_S


def _run_plugin(plugin: ExecPlugin, connection: Connection) -> _ExecStatus:
    from proj.process import run

    spec: dict[str, object] = {"interactive": False}
    if plugin.provide_cluster_info:
        cluster = connection.cluster
        spec["cluster"] = {
            "server": cluster.server,
            "certificate-authority-data": cluster.certificate_authority_data,
            "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
            "tls-server-name": cluster.tls_server_name,
        }
    info = {"kind": "ExecCredential", "apiVersion": plugin.api_version, "spec": spec}
    env = {each.name: each.value for each in plugin.env or ()}
    command = _plugin_path(plugin.command, connection)
    try:
        answer = run(
            [command, *(plugin.args or ())],
            env={**env, "KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode()},
            timeout_s=_PLUGIN_TIMEOUT_S,
        )
        status = msgspec.json.decode(answer.stdout, type=_ExecCredential).status
    except ProjError as error:
        hint = plugin.install_hint or error.hint
        raise ConfigError(
            f"The credential plugin of the kubeconfig failed: {error.message}", hint=hint
        ) from error
    except msgspec.DecodeError as error:  # its text may hold the token: not shown
        raise ConfigError(f"The credential plugin {plugin.command} yields no ExecCredential.") from error
    if status is None or not (status.token or status.client_certificate_data):
        raise ConfigError(f"The credential plugin {plugin.command} yields no credentials.")
    return status


def _plugin_path(command: str, connection: Connection) -> str:
    """A path with a slash in it is relative to the kubeconfig, as for kubectl; else PATH finds it."""
    if os.sep in command and not command.startswith(os.sep) and connection.files:
        return str(connection.files[0].parent / command)
    return command


def _data_or_file(data: str | None, file: Path | None) -> bytes:
    if data:
        return decoded(data, "The user's certificate")
    if file is None:
        raise ConfigError("The user of the kubeconfig has a certificate or a key, and not the other one.")
    return file.read_bytes()


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """OpenSSL reads them from a file only: one that nobody else can read, gone at once."""
    descriptor, name = tempfile.mkstemp(prefix="proj-kube-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate + b"\n" + key)
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()
