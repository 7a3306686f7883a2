"""The frozen values that cross a stage of the pipeline. No behaviour beyond what follows from the data."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from proj.errors import FailureCode


class _Value(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all values: immutable, keyword arguments only."""


# --- the project file ---------------------------------------------------------------------------------


class Severity(str, enum.Enum):
    """How much a finding matters: errors stop a run, warnings and notes do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Position(_Value, frozen=True):
    """A place in a text file; both numbers count from 1."""

    line: int
    column: int


class Diagnostic(_Value, frozen=True):
    """One finding about a file that a user wrote."""

    severity: Severity
    code: str
    """Stable word for the kind of finding, such as `unknown-key`."""
    message: str
    file: str | None = None
    position: Position | None = None
    source_line: str | None = None
    """The offending line as it stands in the file."""
    fix: str | None = None
    """What to write instead, or to do next."""


class ParameterKind(str, enum.Enum):
    """What a parameter's declared type means; an unknown declared type means STRING."""

    STRING = "string"
    FLOAT = "float"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    PATH = "path"
    URI = "uri"
    CHOICE = "choice"
    LIST = "list"
    JSON = "json"


class Parameter(_Value, frozen=True):
    """A declared parameter of an entry point."""

    name: str
    kind: ParameterKind = ParameterKind.STRING
    declared_type: str = "string"
    """The type as it is written in the file."""
    default: str | None = None
    """The default as text (`str()` of the YAML value, as MLflow does); None: the parameter is required."""
    description: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    position: Position | None = None


class EntryPoint(_Value, frozen=True):
    """Something a project can run."""

    name: str
    command: str
    """The command template as YAML yields it."""
    parameters: tuple[Parameter, ...] = ()
    position: Position | None = None
    """Where the command's text begins in the file."""
    script: str | None = None
    """The script's path relative to the project, when the entry point is a bare file."""


class DockerBuild(_Value, frozen=True):
    """How a project's own image is built."""

    dockerfile: str | None = None
    """Path relative to the context; None: `Dockerfile`."""
    context: str = "."
    """Folder relative to the project's folder."""
    args: Mapping[str, str] = {}
    """Build argument -> value."""


class DockerDeclaration(_Value, frozen=True):
    """The `docker_env` of a project file."""

    image: str
    volumes: tuple[str, ...] = ()
    """`SOURCE:TARGET[:MODE]` as written: `~`, `$(pwd)`, `${VAR}` and relative sources not expanded yet."""
    environment: tuple[tuple[str, str | None], ...] = ()
    """Pairs of variable and value; None copies the host's value."""
    user: str | None = None
    """`UID[:GID]` or a name in the image; None: whoever starts the run."""
    shm_size: str | None = None
    """Size of `/dev/shm`, such as `2g`."""
    gpus: str | None = None
    """`all`, a number, or `device=0,1`."""
    network: str | None = None
    platform: str | None = None
    """Such as `linux/amd64`."""
    build: DockerBuild | None = None


class EnvironmentDeclaration(_Value, frozen=True):
    """Which environment the project file names."""

    kind: Literal["python_env", "conda_env", "docker_env"]
    file: str | None = None
    """Path of the environment file as written, relative to the project's folder."""
    docker: DockerDeclaration | None = None
    position: Position | None = None


class Tolerance(_Value, frozen=True):
    """How far a metric may be from what it was, and still be the same."""

    rtol: float | None = None
    """Relative to the greater of the two; None: as for all metrics."""
    atol: float | None = None
    ignore: bool = False
    """Whether it may be anything, as what is measured in seconds may."""


class Verification(_Value, frozen=True):
    """What two runs are compared by."""

    ignore: tuple[str, ...] = ()
    """Globs of artifacts that need not be the same."""
    rtol: float | None = None
    atol: float | None = None
    metrics: Mapping[str, Tolerance] = {}
    """Name of a metric, or a glob of names -> its own tolerance."""


class Extensions(_Value, frozen=True):
    """What stands under the file's `proj:` key."""

    quoting: Literal["mlflow"] | None = None
    outputs: tuple[str, ...] = ()
    """Globs, relative to the project's folder, of files to keep as artifacts."""
    metrics: Literal["stdout"] | None = None
    verify: Verification = Verification()
    secrets: tuple[str, ...] = ()
    """Names of variables of the host that containers get, and whose values are seen nowhere."""
    kubernetes: str = "{}"
    """Settings of the backend kubernetes, a JSON object."""


class Project(_Value, frozen=True):
    """A project file, parsed once."""

    name: str | None
    """The declared name; None when there is none."""
    directory: Path
    file: Path | None
    """The project file; None for a folder without one."""
    entry_points: tuple[EntryPoint, ...] = ()
    environment: EnvironmentDeclaration | None = None
    extensions: Extensions = Extensions()
    diagnostics: tuple[Diagnostic, ...] = ()
    """Warnings and notes found while parsing; errors are raised instead."""

    @property
    def display_name(self) -> str:
        """The declared name, else the folder's."""
        return self.name or self.directory.resolve().name or "project"


# --- source -------------------------------------------------------------------------------------------


class GitState(_Value, frozen=True):
    """What git says of the tree that runs."""

    root: Path
    commit: str | None
    """Full hash; None in a repository without commits."""
    committed_at_s: int | None = None
    """Committer date of `commit`, seconds since the epoch."""
    branch: str | None = None
    repository_url: str | None = None
    """The remote's URL without credentials."""
    changed_files: tuple[str, ...] = ()
    """Paths relative to `root` that differ from `commit`: staged, unstaged, untracked but not ignored."""

    @property
    def dirty(self) -> bool:
        """Whether the tree differs from the commit."""
        return bool(self.changed_files)


class SourceChange(_Value, frozen=True):
    """A file that differs from the commit."""

    path: str
    """Relative to the tree's top, `/` between folders; bytes that are no UTF-8 as `\\xe9`."""
    kind: Literal["added", "modified", "deleted", "untracked", "conflicted", "converted", "submodule"]
    """`converted`: git holds it for unchanged, but its bytes are others than those committed (line ends,
    filters). `submodule`: its own changes are listed too, below its path."""


class LeftOut(_Value, frozen=True):
    """A file that ran, or may have, and whose bytes the snapshot does not hold."""

    path: str
    reason: Literal["secret", "ignored", "unreadable", "special", "repository", "limit", "commits"]
    """`secret`: it looks like one; `ignored`: by `.projignore`; `special`: no regular file; `limit`: with it,
    the snapshot would have been larger than allowed; `commits`: those of the repository at `path` that are
    not pushed would have made it so, and its files as they ran are kept all the same."""
    detail: str
    """The reason in words."""
    committed: bool = False
    """Whether the snapshot holds its committed content instead."""
    size_bytes: int | None = None
    """Known for what is left out by `limit`, as is the next."""
    modified_ms: int | None = None
    """Its time stamp, milliseconds since the epoch."""
    digest: str | None = None
    """`sha256:<hex>` of a file left out by `limit` that is small enough to be read all the same."""
    absent: bool = False
    """Whether the run had to do without: it was made again, from the record of one that had the file."""

    @property
    def missed(self) -> bool:
        """Whether a file is lacking that the user did not say to be no part of the code."""
        return self.reason != "commits" and (self.reason != "ignored" or self.committed)


class SourcePart(_Value, frozen=True, kw_only=True):
    """One repository of a snapshot: the tree itself, a submodule, or a repository in it that is none."""

    path: str = ""
    """Of its folder, relative to the tree's top; empty for the tree itself."""
    tree: str
    """Git's hash of the tree as it is on disk, its submodules' hashes in it."""
    commit: str | None = None
    """What its HEAD is; None in a repository without commits, and for a folder that is in none."""
    link: str
    """The commit that stands for it in the tree around it: `commit`, or `snapshot` if its tree is another."""
    snapshot: str | None = None
    """A commit without parents that holds `tree`; None where `commit` can be had from the remote."""
    branch: str | None = None
    repository_url: str | None = None
    """The remote's URL without credentials."""
    base_commits: tuple[str, ...] = ()
    """Commits to get from the remote; empty where the bundle holds all that is needed."""
    present: bool = True
    """False for a submodule whose folder is empty here."""


class SourceBundle(_Value, frozen=True):
    """The git bundle of a snapshot, `proj/source.bundle`."""

    digest: str
    """`sha256:<hex>`"""
    size_bytes: int
    prerequisites: tuple[str, ...] = ()
    """Commits that have to be there before it can be unpacked."""


class Snapshot(_Value, frozen=True, kw_only=True):
    """The tree as it ran: enough to get it back, and to prove that it is the same."""

    root: SourcePart
    submodules: tuple[SourcePart, ...] = ()
    """All repositories below, those in submodules too; each after the one that it is in."""
    changes: tuple[SourceChange, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    large_files: tuple[str, ...] = ()
    """Files of Git LFS that the tree holds as pointers; their content names itself by its digest."""
    bundle: SourceBundle | None = None
    """None where the remotes have it all."""

    @property
    def parts(self) -> tuple[SourcePart, ...]:
        """All repositories, the tree itself first."""
        return (self.root, *self.submodules)

    @property
    def complete(self) -> bool:
        """Whether it holds all files that ran, but those that the user said to be no part of it."""
        return not any(left.missed for left in self.left_out)


class Checkout(_Value, frozen=True):
    """The project's code on this machine, ready to run."""

    uri: str
    """What the user asked for, without credentials."""
    kind: Literal["local", "git", "archive"]
    root: Path
    """Top of the tree: the repository's or archive's root, or the folder itself."""
    project_dir: Path
    subdir: str = ""
    version: str | None = None
    git: GitState | None = None
    private: bool = False
    """Whether the tree is a copy of ours that may be removed after the run."""


# --- parameters and command ---------------------------------------------------------------------------


class BoundParameter(_Value, frozen=True):
    """A parameter with its value."""

    name: str
    given: str
    """What is recorded: the value as given, or the default."""
    value: str
    """What the command receives: paths made absolute, URIs downloaded."""
    kind: ParameterKind = ParameterKind.STRING
    declared: bool = True
    """False for a `-P` that the entry point does not declare: it is appended as `--name value`."""


class Command(_Value, frozen=True):
    """What a shell is going to run."""

    line: str
    """The rendered shell line."""
    argv: tuple[str, ...]
    """How it is started: `("bash", "-c", line)`."""
    cwd: str


# --- environment --------------------------------------------------------------------------------------


class LockMode(str, enum.Enum):
    """How a lock is come by."""

    REUSE = "reuse"
    """Use the lock kept for this input, else resolve (default)."""
    UPGRADE = "upgrade"
    """Resolve anew."""
    LOCKED = "locked"
    """The project must ship a lock, and it must fit its requirements."""
    FROZEN = "frozen"
    """Use the lock that the project ships, unchecked."""


class ImageRequest(_Value, frozen=True):
    """What is asked of an image to run in; it matters where the target is no host."""

    base: str | None = None
    """`--base-image`; None: `python:<X.Y>-slim`, or `debian:12-slim` for conda packages."""
    platform: str | None = None
    """Such as `linux/amd64`; None: that of the engine or the cluster."""
    pull: Literal["always", "missing", "never"] = "missing"
    credentials: Mapping[str, str] = {}
    """`username` and `password` for the image's registry; empty: those that `docker login` has kept."""
    bake: bool = False
    """Whether the code goes into the image (`--build-image`) though it could be brought otherwise."""
    recorded_id: str | None = None
    """Of a run that is made again: the id of its image, which is used if the engine still has it."""
    recorded_digest: str | None = None
    """Its digest in a registry, by which it is got back."""
    recorded_reference: str | None = None
    """Where it was pulled from, with its digest, as the place says where it ran."""
    recorded_base: str | None = None
    """The digest, or the id, of what it was made on."""
    repository: str | None = None
    """Where a cluster gets an image that is made here, such as `registry.example.org/team/name`."""
    insecure: bool = False
    """Whether registries may be asked without TLS, or with a certificate that nobody vouches for."""


class EnvironmentRequest(_Value, frozen=True):
    """All that decides which environment a run gets."""

    project_dir: Path
    root: Path
    """Files up to here belong to the project (`-r ../requirements.txt`)."""
    target: Literal["host", "engine", "cluster"] = "host"
    """Where it is needed: on this machine, in this machine's container engine, or on a cluster."""
    image: ImageRequest = ImageRequest()
    subdir: str = ""
    """The project's folder relative to `root`."""
    outputs: tuple[str, ...] = ()
    """Globs, relative to the project's folder, of files that are no code though they lie in it."""
    declaration: EnvironmentDeclaration | None = None
    script: str | None = None
    """A script entry point, relative to `project_dir`; its PEP 723 block, if any, is the environment."""
    manager: str | None = None
    """`--env-manager` as given: local, uv, virtualenv, conda; None: the project's own kind."""
    python: str | None = None
    """`--python`: replaces the version that the project asks for."""
    python_match: Literal["nearest", "exact"] = "nearest"
    as_of_s: int | None = None
    """Packages uploaded after this time (seconds since the epoch) are not considered; None: now."""
    mode: LockMode = LockMode.REUSE
    lock: bytes | None = None
    """The lock to use, byte for byte, whatever the project says: that of a run that is made again."""
    packages: Path | None = None
    """A folder with files that the lock names: they are taken from there, whatever their URLs."""
    offline: bool = False
    conda_exe: str | None = None
    """`--conda-exe`: the program that makes conda environments."""
    drop_missing: bool = False
    """Whether conda packages that PyPI has not may be left out."""


class HostRuntime(_Value, frozen=True, tag="host"):
    """An environment on this machine: what to change in the process's variables."""

    path: tuple[str, ...] = ()
    """Folders to put before PATH."""
    hidden: tuple[str, ...] = ()
    """Folders to leave out of PATH: those of the caller's own environment."""
    variables: Mapping[str, str | None] = {}
    """Variable -> value; None removes it."""


class ImageRuntime(_Value, frozen=True, tag="image"):
    """An environment inside an OCI image."""

    image: str
    """What a backend starts: a reference (`host/name:tag@sha256:…`), or an image's id in an engine."""
    name: str | None = None
    """The image as the project or the user names it, for people; None: `image`."""
    digest: str | None = None
    """`sha256:<hex>` of its manifest in a registry; None where it has none, or where nobody could ask."""
    image_id: str | None = None
    """`sha256:<hex>` of its configuration, which an engine knows it by."""
    base: str | None = None
    """The image that it was made on top of, as it was named."""
    base_digest: str | None = None
    made: Literal["named", "dockerfile", "assembled"] = "named"
    """How it was come by: it was there, by a Dockerfile's build, or put together here."""
    has_code: bool = False
    """Whether the project's code is in it, at `Code.directory`; else the backend brings it there."""
    path: tuple[str, ...] = ()
    """Folders in the image to put before its PATH."""
    variables: Mapping[str, str] = {}
    wrapper: tuple[str, ...] = ()
    """Words that a command is started behind, such as a program that sets up what it needs and runs it."""
    docker: DockerDeclaration | None = None
    """What the project file says of its containers."""


class RecipeRuntime(_Value, frozen=True, tag="recipe"):
    """An environment made where the command runs: a base image, and what to install in it by a lock."""

    image: str
    """Reference of the base image."""
    digest: str | None = None
    lock: bytes | None = None
    """The lock file's content (pylock.toml); None: there is nothing to install."""
    conda: bytes | None = None
    """An explicit list of conda packages, below those of `lock`; None: the image's Python is used."""
    tool: str | None = None
    """What links conda packages, as a requirement of pip's: `py-rattler==0.28.0`."""
    lock_digest: str | None = None
    python: str | None = None
    """The minor version that the image's Python must have, such as `3.11`; None: any will do."""
    variables: Mapping[str, str] = {}
    docker: DockerDeclaration | None = None


Runtime = HostRuntime | ImageRuntime | RecipeRuntime


class RanImage(_Value, frozen=True):
    """The image that a command ran in, as the place where it ran says at its end."""

    reference: str
    """`host/name@sha256:…`, or its id where it was pulled from nowhere."""
    digest: str | None = None
    """`sha256:<hex>` of its manifest in a registry."""
    image_id: str | None = None
    """Its id, where nothing else is known."""


class EnvironmentPlan(_Value, frozen=True):
    """What preparing an environment would do; found out without changing anything."""

    kind: str
    """system, python, conda, image."""
    summary: str
    """One line for people, such as `python 3.11 from python_env.yaml`."""
    built: bool
    """Whether it is there already; False also where only making it would tell."""
    directory: Path | None = None
    lock_digest: str | None = None


class PreparedEnvironment(_Value, frozen=True):
    """An environment that is there and complete."""

    kind: str
    summary: str
    runtime: Runtime
    directory: Path | None = None
    lock: bytes | None = None
    """The lock file's content (pylock.toml, an explicit list); None where nothing is locked."""
    lock_name: str | None = None
    """The lock's file name in the record, such as `pylock.toml`."""
    lock_digest: str | None = None
    """`sha256:<hex>` of what names the environment."""
    python_version: str | None = None
    python_requested: str | None = None
    as_of_s: int | None = None
    reused: bool = False
    notes: tuple[str, ...] = ()
    """Deviations to record, such as another patch version of Python than was asked for."""


class Package(_Value, frozen=True, omit_defaults=True):
    """An installed distribution."""

    name: str
    version: str
    source: str | None = None
    """Where it comes from, if from no index: `-e FOLDER` if it is used where it lies, a folder, a URL."""


class NumericLibrary(_Value, frozen=True):
    """A library that numbers are computed with, such as a BLAS."""

    name: str
    version: str | None = None
    """What the package that uses it says of it, such as `openblas 0.3.27`."""
    file: str | None = None
    """Its shared object, relative to the environment's folder."""


class EnvironmentFacts(_Value, frozen=True):
    """What is in an environment; slow to find out, so it is asked while the command runs."""

    interpreter: str | None = None
    implementation: str | None = None
    python_version: str | None = None
    platform: str | None = None
    packages: tuple[Package, ...] = ()
    libraries: tuple[NumericLibrary, ...] = ()


# --- execution ----------------------------------------------------------------------------------------


CODE_DIR = "/mlflow/projects/code"
"""Where containers find the project's tree, as in MLflow."""
ARTIFACTS_DIR = "/mlflow/projects/artifacts"
"""Where containers find the folder whose files become the run's artifacts."""


class Mount(_Value, frozen=True):
    """A file or folder of this machine that the command finds at a place of its own."""

    source: Path
    target: str
    read_only: bool = True


class Code(_Value, frozen=True):
    """The project's tree, for backends whose commands do not run beside it."""

    root: Path
    """Its top on this machine."""
    subdir: str = ""
    """The project's folder below it, which is where the command runs."""
    directory: str = CODE_DIR
    """Where the command is to find the top."""
    outputs: tuple[str, ...] = ()
    """Globs of files that are no code: those that earlier runs made."""


class Parcel(_Value, frozen=True):
    """The code as one file among the run's artifacts, from where the command's place fetches it."""

    path: str
    """Of the artifact: a tar file packed with gzip."""
    sha256: str
    """Hexadecimal."""


class Reach(_Value, frozen=True):
    """How a program gets to a server on this machine from where it runs."""

    bind: str = "127.0.0.1"
    """The address to listen on."""
    host: str = "127.0.0.1"
    """The name or address by which the program asks for it."""


class Origin(_Value, frozen=True):
    """What the user asked for, for backends that fetch and run projects themselves (MLflow's plugins)."""

    uri: str
    entry_point: str
    version: str | None = None
    parameters: Mapping[str, str] = {}
    experiment_id: str = "0"


class Execution(_Value, frozen=True):
    """All that a backend needs to run a command. Serialisable: a detached supervisor gets it as JSON."""

    run_id: str
    run_name: str
    project_name: str
    command: Command
    runtime: Runtime
    variables: Mapping[str, str]
    """Set for the entry point on top of what the backend passes on; values may be secret."""
    record_dir: str
    """An existing folder on this machine where `stdout.log` and `stderr.log` are written as they come."""
    timeout_s: float | None = None
    grace_s: float = 10.0
    """How long a process may take to end after INT, and again after TERM, before it is killed."""
    quiet: bool = False
    """Keep the program's output off this process's own stdout and stderr."""
    metrics_from_stdout: bool = False
    """Whether lines like `loss: 0.31` are to be read as metrics."""
    docker_args: tuple[tuple[str, str | None], ...] = ()
    backend_config: str = "{}"
    """The backend's own settings, a JSON object."""
    origin: Origin | None = None
    code: Code | None = None
    """What to bring where the command runs; None for those that run on this machine."""
    parcel: Parcel | None = None
    """The code again, where a backend has asked for that."""
    mounts: tuple[Mount, ...] = ()
    """Inputs on this machine that the command refers to, outside of the code."""
    keep: bool = False
    """Whether what it ran in is to stay when it has ended."""
    secrets: tuple[str, ...] = ()
    """Names of those variables whose values must be seen nowhere: in no log, argument or description. What
    is not among `variables` is taken from this process's."""


class RunStatus(str, enum.Enum):
    """MLflow's run states."""

    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"

    @property
    def finished(self) -> bool:
        """Whether the run has ended, in whatever way."""
        return self in (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED)


class Outcome(_Value, frozen=True):
    """How an execution ended."""

    status: RunStatus
    exit_code: int | None = None
    """The entry point's own exit code; None when it never ran or a signal ended it."""
    failure: FailureCode | None = None
    signal: str | None = None
    """Name of the signal that ended the process, such as SIGSEGV."""
    message: str | None = None
    """The cause in a sentence; None for success."""
    started_ms: int | None = None
    ended_ms: int | None = None
    peak_memory_bytes: int | None = None
    """Peak resident memory of the largest process of the run."""


# --- the record (MLflow's data model) -----------------------------------------------------------------


class Metric(_Value, frozen=True):
    """One point of a metric's history."""

    key: str
    value: float
    timestamp_ms: int
    step: int = 0
    model_id: str | None = None
    """The logged model that was measured, if any; kept with the model, not in the run's history."""
    dataset_name: str | None = None
    dataset_digest: str | None = None


class Experiment(_Value, frozen=True):
    """A named group of runs."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: Literal["active", "deleted"] = "active"
    created_ms: int = 0
    updated_ms: int = 0
    tags: Mapping[str, str] = {}


class NewRun(_Value, frozen=True):
    """What is known of a run when it is created."""

    experiment_id: str
    run_name: str
    started_ms: int
    user: str = ""
    status: RunStatus = RunStatus.SCHEDULED
    params: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}


class RunRecord(_Value, frozen=True):
    """A run as the store knows it."""

    run_id: str
    """32 hexadecimal digits."""
    experiment_id: str
    run_name: str
    user: str
    status: RunStatus
    started_ms: int
    ended_ms: int | None
    artifact_uri: str
    lifecycle_stage: Literal["active", "deleted"] = "active"
    params: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}
    metrics: Mapping[str, Metric] = {}
    """Key -> the latest point: greatest step, then timestamp, then value (MLflow's rule)."""


class ArtifactInfo(_Value, frozen=True):
    """An entry below a run's artifacts."""

    path: str
    """Relative to the run's artifact root, with `/`."""
    is_dir: bool
    size_bytes: int | None = None
