"""From a plan and its run to the assignment that a supervisor works from."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from proj import active, paths, place, record
from proj.assignment import Assignment
from proj.environments import ENVIRONMENTS
from proj.model import (
    ARTIFACTS_DIR,
    Execution,
    Origin,
    ParameterKind,
    PreparedEnvironment,
    RunRecord,
    Snapshot,
)
from proj.server.endpoint import VARIABLES as ENDPOINT_VARIABLES
from proj.server.endpoint import EndpointSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proj.place import Place
    from proj.planning import Plan, RunRequest
    from proj.tracking import Tracking


_ENDPOINT_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
_STORE_SECRETS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_CONNECTION_STRING",
)


def _variables(
    request: RunRequest, plan: Plan, where: Place, run_id: str, artifacts: Path, artifact_uri: str = ""
) -> dict[str, str]:
    """What the entry point finds in its environment."""
    if plan.code is not None:
        return {"PROJ_RUN_ID": run_id, "PROJ_ARTIFACTS": ARTIFACTS_DIR, **_store_credentials(artifact_uri)}
    variables = {
        **place.inherited(where),
        "PROJ_RUN_ID": run_id,
        "PROJ_ARTIFACTS": str(artifacts),
        "PROJ_HOME": str(paths.home()),
        # For scripts that call the API: the `python` on PATH need not be the one that has proj.
        "PROJ_PYTHON": sys.executable,
    }
    if request.env_manager is not None:
        # A nested run keeps the parent's environment manager unless told otherwise.
        variables["PROJ_ENV_MANAGER"] = request.env_manager
    if request.conda_exe is not None:
        variables["PROJ_CONDA_EXE"] = request.conda_exe
    if request.drop_missing:
        variables["PROJ_DROP_MISSING"] = "1"
    return variables


_STORES = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "MLFLOW_S3_ENDPOINT_URL"),
    "wasbs": ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCESS_KEY"),
    "gs": ("GOOGLE_APPLICATION_CREDENTIALS",),
}
"""Scheme of an artifact store -> variables by which a client in a container gets at it, as with MLflow."""


def _store_credentials(artifact_uri: str) -> dict[str, str]:
    names = _STORES.get(artifact_uri.partition(":")[0], ())
    return {name: os.environ[name] for name in names if name in os.environ}


def _secrets(variables: Mapping[str, str], plan: Plan) -> tuple[str, ...]:
    given = (name for name in _STORE_SECRETS if name in variables)
    return (*_ENDPOINT_SECRETS, *given, *plan.project.extensions.secrets)


def variable_names(request: RunRequest, plan: Plan) -> tuple[str, ...]:
    """Names of the variables that a run of `request` sets for its entry point."""
    served = () if place.foreign() else ENDPOINT_VARIABLES
    return tuple(sorted({*_variables(request, plan, place.current(), "", Path()), *served}))


def assigned(
    request: RunRequest,
    plan: Plan,
    where: Place,
    tracking: Tracking,
    created: RunRecord,
    prepared: PreparedEnvironment,
    snapshot: Snapshot | None,
    claim: active.Claim,
    *,
    detached: bool,
) -> Assignment:
    """All that a supervisor needs to go on.

    Args:
        request: What was asked for.
        plan: What was decided.
        where: Where it is recorded.
        tracking: The records.
        created: The run.
        prepared: Its environment.
        snapshot: Its code, as it was kept; None: none was.
        claim: Under which it runs.
        detached: Whether it goes on without this process.
    """
    folder = tracking.workspace(created)
    variables = _variables(request, plan, where, created.run_id, folder, created.artifact_uri)
    execution = Execution(
        run_id=created.run_id,
        run_name=created.run_name,
        project_name=plan.project.display_name,
        command=plan.command,
        runtime=prepared.runtime,
        variables=variables,
        record_dir=str(folder / "proj"),
        timeout_s=request.timeout_s,
        grace_s=request.grace_s,
        quiet=request.quiet or detached,
        metrics_from_stdout=plan.project.extensions.metrics == "stdout",
        docker_args=request.docker_args,
        backend_config=plan.backend_config,
        code=plan.code,
        mounts=plan.mounts,
        keep=request.keep,
        secrets=_secrets(variables, plan),
        origin=Origin(
            uri=str(plan.checkout.project_dir),
            entry_point=plan.entry_point.name,
            version=request.version,
            parameters={parameter.name: parameter.given for parameter in plan.parameters},
            experiment_id=created.experiment_id,
        ),
    )
    return Assignment(
        home=paths.home(),
        claim=claim.info.token,
        backend=plan.backend,
        environment=plan.environment,
        execution=execution,
        artifact_uri=created.artifact_uri,
        record_uri=tracking.record_uri(created),
        checkout=plan.checkout,
        prepared=prepared,
        outputs=plan.project.extensions.outputs,
        keep=request.keep,
        downloads=plan.downloads,
        endpoint=_endpoint(request, plan, where, created),
        place=where,
        parameters=plan.parameters,
        source_whole=_is_whole(snapshot),
        large_files=snapshot.large_files if snapshot is not None else (),
        has_inputs=any(each.kind is ParameterKind.PATH and each.value for each in plan.parameters),
        tags={**record.environment_tags(prepared), **record.source_tags(snapshot)},
    )


def rehearsed(request: RunRequest, plan: Plan) -> Execution:
    """What a backend would be handed, without a run: its environment is prepared, and nothing recorded.

    Raises:
        ProjError: The environment cannot be made.
    """
    prepared = ENVIRONMENTS.load(plan.environment).prepare(plan.environment_request)
    run_id = "0" * 32
    variables = _variables(request, plan, place.current(), run_id, Path())
    return Execution(
        run_id=run_id,
        run_name=request.run_name or "dry-run",
        project_name=plan.project.display_name,
        command=plan.command,
        runtime=prepared.runtime,
        variables=variables,
        record_dir="",
        timeout_s=request.timeout_s,
        grace_s=request.grace_s,
        backend_config=plan.backend_config,
        code=plan.code,
        mounts=plan.mounts,
        secrets=_secrets(variables, plan),
    )


def _is_whole(snapshot: Snapshot | None) -> bool:
    if snapshot is None or not snapshot.left_out:
        return snapshot is not None
    from proj import reuse

    return reuse.is_whole(snapshot)


def _endpoint(request: RunRequest, plan: Plan, where: Place, created: RunRecord) -> EndpointSettings | None:
    if place.foreign():
        return None
    return EndpointSettings(
        run_id=created.run_id,
        experiment_id=created.experiment_id,
        experiment_chosen=request.experiment_name is not None or request.experiment_id is not None,
        values={bound.name: bound.value for bound in plan.parameters if bound.value != bound.given},
        recorded={} if where.folder else {bound.name: bound.given for bound in plan.parameters},
        proxied=plan.code is not None,
    )
