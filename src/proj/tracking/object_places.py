"""Where the files of object stores are: the file system of fsspec that a URI means, and the name there."""

from __future__ import annotations

import importlib.util
import os
import re
import threading
from typing import TYPE_CHECKING, Any

import msgspec

from proj.errors import ConflictError, StoreError, UsageError
from proj.tracking.artifacts import path_parts

if TYPE_CHECKING:
    from collections.abc import Mapping

PART_BYTES = 16 << 20
"""How much of a file is in memory: it is sent and fetched in parts of this size."""
_MAX_KEY_BYTES = 1024
"""Of S3 and GCS; Azure counts characters."""
_READ_S = 120
"""How long S3 may take for an answer: it puts large files together while we wait."""
_RETRIES = 2
"""Of s3fs, around those of the AWS library."""
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
_AZURE_HOST = re.compile(r"([a-z0-9]+)\.(?:dfs|blob)\.([a-z0-9.-]+)")
_AZURE_PUBLIC = "core.windows.net"


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of object store."""

    protocol: str
    """fsspec's name of it."""
    name: str
    """For messages."""
    extra: str | None = None
    """The extra of our package that brings its driver."""
    driver: str | None = None
    """The module that fsspec needs for it."""
    variables: str = ""
    """Which credentials it takes, for hints."""
    refused: str = ""
    """What no name of a file may contain, since fsspec's driver reads it as something else."""
    checked: bool = True
    """Whether the store, or its driver, verifies a digest of what is sent."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What an artifact URI stands for."""

    kind: Kind
    account: str = ""
    """Azure's storage account; empty: that of the environment."""
    bucket: str
    prefix: str
    """Of all keys below the URI; ends with a slash unless it is empty."""

    @property
    def root(self) -> str:
        """What the driver calls the folder."""
        return f"{self.bucket}/{self.prefix}".rstrip("/")

    def name(self, path: str) -> str:
        """What the driver calls a file or folder.

        Raises:
            StoreError: It has no name there.
        """
        check_path(path)
        _check_name(self.kind, path)
        if len(f"{self.prefix}{path}".encode()) > _MAX_KEY_BYTES:
            raise ConflictError(
                f"The path {path[:80]!r}… is too long for {self.kind.name}.", hint="Choose another path."
            )
        return f"{self.root}/{path}"


def check_path(path: str) -> None:
    """Check that a path is one of an artifact.

    Raises:
        StoreError: It is none, or leads out of the artifacts.
        ConflictError: It leads through too many folders.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        raise StoreError(
            f"{path!r} is no path of an artifact.", hint="Object stores take names in UTF-8 only."
        ) from None
    path_parts(path)


# --- URIs ---------------------------------------------------------------------------------------------


def find_place(artifact_uri: str) -> Place:
    """Return where an artifact URI leads.

    Raises:
        StoreError: It is not of the form that its scheme has.
    """
    scheme, _, rest = artifact_uri.partition(":")
    kind = _KINDS.get(scheme.lower())
    host, _, prefix = rest[2:].partition("/")
    prefix = prefix.strip("/")
    if prefix:
        check_path(prefix)
    account = ""
    if kind is _AZURE and "@" in host:
        host, _, server = host.partition("@")
        match = _AZURE_HOST.fullmatch(server)
        if match is None:
            raise _no_place(artifact_uri)
        account = match[1] if match[2] == _AZURE_PUBLIC else f"{match[1]} {match[1]}.blob.{match[2]}"
    if kind is None or not rest.startswith("//") or not _BUCKET.fullmatch(host):
        raise _no_place(artifact_uri)
    _check_name(kind, prefix)
    return Place(kind=kind, account=account, bucket=host, prefix=f"{prefix}/" if prefix else "")


def _check_name(kind: Kind, name: str) -> None:
    if kind.refused and kind.refused in name:
        raise ConflictError(
            f"{name!r} cannot be a name in {kind.name} because of the {kind.refused!r}.",
            hint="Choose another path.",
        )


def _no_place(artifact_uri: str) -> StoreError:
    return StoreError(
        f"{artifact_uri} names no place in an object store.",
        hint="For instance: s3://bucket/folder, gs://bucket/folder, "
        "abfss://container@account.dfs.core.windows.net/folder.",
    )


# --- what the environment says ------------------------------------------------------------------------


def _s3_options() -> dict[str, Any]:
    """What the AWS libraries do not read by themselves: MLflow's variables, and the checksums.

    S3 takes a part, or a whole small file, only if its SHA-256 is the one that we send with it.
    """
    extra = _json_variable("MLFLOW_S3_UPLOAD_EXTRA_ARGS")
    if os.environ.get("AWS_REQUEST_CHECKSUM_CALCULATION", "").lower() != "when_required":
        extra = {"ChecksumAlgorithm": "SHA256", **extra}
    options: dict[str, Any] = {"s3_additional_kwargs": extra, "fixed_upload_size": True}
    if endpoint := os.environ.get("MLFLOW_S3_ENDPOINT_URL"):
        options["endpoint_url"] = endpoint
    if _is_set("MLFLOW_S3_IGNORE_TLS"):
        options["client_kwargs"] = {"verify": False}
    config: dict[str, Any] = {"read_timeout": _READ_S}
    if style := os.environ.get("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE"):
        config["s3"] = {"addressing_style": style}
    return {**options, "config_kwargs": config}


def _gcs_options() -> dict[str, Any]:
    """The application default credentials; GCS says the MD5 of what it has got, which is compared."""
    emulated = "STORAGE_EMULATOR_HOST" in os.environ
    return {"consistency": "md5", "token": "anon" if emulated else "google_default"}


def _azure_options() -> dict[str, Any]:
    """What adlfs does not read by itself: MLflow's name of the key's variable."""
    key = os.environ.get("AZURE_STORAGE_ACCESS_KEY")
    return {"account_key": key} if key else {}


def _json_variable(name: str) -> dict[str, Any]:
    text = os.environ.get(name)
    if not text:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise UsageError(f"{name} is no JSON object: {error}.") from error


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("true", "1")


_S3 = Kind(
    protocol="s3",
    name="S3",
    extra="s3",
    driver="s3fs",
    variables="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; for a server other than Amazon's "
    "also MLFLOW_S3_ENDPOINT_URL",
    refused="?versionId=",
)
_GCS = Kind(
    protocol="gs",
    name="Google Cloud Storage",
    extra="gcs",
    driver="gcsfs",
    variables="GOOGLE_APPLICATION_CREDENTIALS, or sign in by `gcloud auth application-default login`",
)
_AZURE = Kind(
    protocol="abfs",
    name="Azure",
    extra="azure",
    driver="adlfs",
    variables="AZURE_STORAGE_CONNECTION_STRING; or AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCESS_KEY "
    "or AZURE_STORAGE_SAS_TOKEN; or sign in by `az login`",
    refused="?",
    checked=False,
)
_MEMORY = Kind(protocol="memory", name="This process's memory")
_KINDS: Mapping[str, Kind] = {
    "s3": _S3,
    **dict.fromkeys(("gs", "gcs"), _GCS),
    **dict.fromkeys(("abfs", "abfss", "az", "wasb", "wasbs"), _AZURE),
    "memory": _MEMORY,
}


_OPTIONS = {"s3": _s3_options, "gs": _gcs_options, "abfs": _azure_options}


class FileSystems:
    """fsspec's file systems, one for each kind and account, made when it is first needed."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def of(self, place: Place) -> Any:
        """Return the file system of a place.

        Raises:
            StoreError: What it needs is not installed.
            Exception: Of the driver: there are no credentials.
        """
        key = (place.kind.protocol, place.account)
        with self._lock:
            if key not in self._made:
                self._made[key] = _make(place)
            return self._made[key]


def check_installed(kind: Kind) -> None:
    """Check that a kind of store can be used, without the time that importing its driver takes.

    Raises:
        StoreError: Its driver is not installed.
    """
    for module in ("fsspec", kind.driver or "fsspec"):
        if importlib.util.find_spec(module) is None:
            raise StoreError(
                f"Artifacts in {kind.name} need the package {module}, which is not installed.",
                hint=f"pip install 'proj[{kind.extra or 's3'}]'",
            )


def _make(place: Place) -> Any:
    check_installed(place.kind)
    options = _OPTIONS.get(place.kind.protocol, dict[str, Any])()
    if place.account:
        name, _, host = place.account.partition(" ")
        options["account_name"] = name
        if host:
            options["account_host"] = host
    import fsspec  # type: ignore[import-untyped]  # it comes without types

    # Other processes write, too: what was listed a moment ago is no answer.
    system = fsspec.filesystem(
        place.kind.protocol, skip_instance_cache=True, use_listings_cache=False, **options
    )
    if place.kind is _S3:
        system.retries = _RETRIES
    return system
