from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from clusterkit import RULES
from proj.kube.blueprint import Blueprint, Names
from proj.kube.client import Client
from proj.kube.kubeconfig import Cluster, Connection, User
from proj.kube.preflight import NEEDED, preflight
from proj.kube.settings import Settings
from proj.model import Command, Execution, RecipeRuntime, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeapi import Asked, FakeApi
    from proj.model import Diagnostic


def granted(rules: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_role_in_the_docs_is_what_is_asked_for() -> None:
    needed = {(group, resource, verb) for group, resource, verbs in NEEDED for verb in verbs}
    page = (Path(__file__).parents[3] / "docs/how-to/kubernetes.md").read_text(encoding="utf-8")
    roles = re.findall(r"```yaml\n(apiVersion: rbac.*?)```", page, re.DOTALL)
    assert [granted(yaml.safe_load(role)["rules"]) for role in roles] == [needed]
    assert granted(RULES) == needed


def test_what_a_job_owns_may_be_deleted_as_strict_clusters_ask() -> None:
    """The admission plugin OwnerReferencesPermissionEnforcement."""
    needed = {resource: verbs for _, resource, verbs in NEEDED}
    assert needed["configmaps"] == ("create", "patch", "delete")
    assert needed["secrets"] == ("create", "delete")


def found(api: FakeApi, settings: Settings) -> tuple[Diagnostic, ...]:
    execution = Execution(
        run_id="0" * 32, run_name="check", project_name="p", command=Command(line="x", argv=("x",), cwd="/"),
        runtime=RecipeRuntime(image="i"), variables={}, record_dir="",
    )  # fmt: skip
    blueprint = Blueprint(execution=execution, settings=settings, image="i")
    client = Client(Connection(cluster=Cluster(server=api.url), user=User()))
    return preflight(client, blueprint, Names(job="p-0", namespace="team", session="s"))


def cluster(asked: Asked) -> None:
    """A cluster of today that allows all, and looks at fields as it is asked to."""
    if asked.path == "/version":
        asked.answer({"major": "1", "minor": "30", "gitVersion": "v1.30.0"})
    elif asked.path.endswith("/selfsubjectaccessreviews"):
        asked.answer({"status": {"allowed": True}}, 201)
    elif asked.path.endswith("/resourcequotas"):
        asked.answer({"items": []})
    elif asked.query.get("fieldValidation") == "Strict" and "backofLimit" in json.loads(asked.body)["spec"]:
        said = (
            'Job in version "v1" cannot be handled: strict decoding error: unknown field "spec.backofLimit"'
        )
        asked.answer({"kind": "Status", "reason": "BadRequest", "message": said}, 400)
    else:
        asked.answer(json.loads(asked.body), 201)


def test_a_typo_in_a_template_is_told(serve: Callable[..., FakeApi]) -> None:
    api = serve(cluster)
    wrong = Settings(kube_job_template={"kind": "Job", "spec": {"backofLimit": 3}})
    errors = [each for each in found(api, wrong) if each.severity is Severity.ERROR]
    assert len(errors) == 1
    assert 'unknown field "spec.backofLimit"' in errors[0].message
    assert all(asked.query.get("dryRun") == "All" for asked in api.asked if asked.path.endswith("/jobs"))


def test_nothing_is_wrong_with_a_plain_job(serve: Callable[..., FakeApi]) -> None:
    severities = [each.severity for each in found(serve(cluster), Settings())]
    assert severities == [Severity.NOTE]


ABOUT_RIGHTS = (
    '{kind} is forbidden: User "ada" cannot create resource "{kind}" in API group "" in the namespace "team"'
)
BY_A_WEBHOOK = 'admission webhook "w" denied the request: cannot create {kind} without the label team'


@pytest.mark.parametrize(
    ("kind", "said", "tells"),
    [
        ("jobs", BY_A_WEBHOOK, ["the cluster refuses the Job: "]),
        ("pods", BY_A_WEBHOOK, ["the cluster refuses the Job's pod: "]),
        ("jobs", ABOUT_RIGHTS, []),
        ("pods", ABOUT_RIGHTS, []),
    ],
)
def test_a_refusal_is_told_whatever_its_words(
    serve: Callable[..., FakeApi], kind: str, said: str, tells: list[str]
) -> None:
    """A right that is lacking is told by itself."""
    said = said.format(kind=kind)

    def respond(asked: Asked) -> None:
        if asked.method == "POST" and asked.path.endswith(f"/{kind}"):
            asked.answer({"kind": "Status", "reason": "Forbidden", "message": said}, 403)
        else:
            cluster(asked)

    told = [each.message for each in found(serve(respond), Settings()) if each.severity is Severity.ERROR]
    assert told == [before + said for before in tells]
