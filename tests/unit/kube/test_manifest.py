from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proj.errors import BackendError, UsageError
from proj.kube import manifest
from proj.kube.blueprint import Blueprint, Names
from proj.kube.names import escaped, is_variable, job_name, label, slug
from proj.kube.objects import Job
from proj.kube.parts import MOST_BYTES, PART_BYTES, Bundle, bundled
from proj.kube.settings import NAMES as NAMES_OF_SETTINGS
from proj.kube.settings import QUEUE_LABEL, Settings, read_settings
from proj.model import Command, DockerDeclaration, Execution, RecipeRuntime

NAMES = Names(job="demo-1", namespace="team", session="s")
_EXPANSION = re.compile(r"\$\$|\$\(([^)]*)\)")


def expanded(text: str) -> str:
    """What Kubernetes makes of a text of a pod's specification, where all variables are known."""
    return _EXPANSION.sub(lambda match: "$" if match[0] == "$$" else "EXPANDED", text)


def blueprint(bundle: Bundle | None = None, **changes: Any) -> Blueprint:
    settings = changes.pop("settings", {})
    execution = Execution(
        run_id="0123456789abcdef" * 2, run_name="a", project_name="My Project",
        command=Command(
            line="x", argv=("sh", "-c", changes.pop("line", "echo")), cwd="/mlflow/projects/code"
        ),
        runtime=RecipeRuntime(image="i"), variables=changes.pop("variables", {}), record_dir="/x",
        secrets=changes.pop("secrets", ()),
    )  # fmt: skip
    found = read_settings(json.dumps({name.replace("_", "-"): value for name, value in settings.items()}))
    return Blueprint(execution=execution, settings=found, image="i", bundle=bundle, **changes)


def pod_of(made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = made["spec"]["template"]["spec"]
    return found


def filled(pod: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What is made of the pod of a template."""
    template = {"kind": "Job", "spec": {"template": {"spec": pod}}}
    return pod_of(manifest.job(blueprint(settings={"kube_job_template": template}, **changes), NAMES))


@given(st.text(alphabet=st.sampled_from("$()aHOME {}\\'\"`")))
def test_nothing_of_ours_is_expanded(text: str) -> None:
    assert expanded(escaped(text)) == text


def test_a_conda_environment_is_activated() -> None:
    bundle = Bundle(code_digest="a" * 64, maps=())
    words = ("sh", "/mlflow/projects/bundle/activate.sh")
    made = manifest.job(
        blueprint(bundle, lock_digest="sha256:b", conda_tool="py-rattler==1", wrapper=words,
                  image_variables={"GREETING": "hello"}),
        NAMES,
    )  # fmt: skip
    pod = pod_of(made)
    main, prepare = pod["containers"][0], pod["initContainers"][0]
    shell, _, start, _, *argv = main["command"]
    assert (shell, *argv) == ("sh", *words, "sh", "-c", "echo")
    assert "CONDA_PREFIX=/mlflow/projects/env/venv " in start
    assert "unset VIRTUAL_ENV" in start
    assert "PATH=/mlflow/projects/env/venv/bin:$" in start
    assert {"name": "GREETING", "value": "hello"} in main["env"]
    assert {"name": "PROJ_CONDA_TOOL", "value": "py-rattler==1"} in prepare["env"]
    assert {"name": "PROJ_PYTHON_MINOR", "value": ""} in prepare["env"]


def test_command_and_variables_are_escaped() -> None:
    made = manifest.job(blueprint(line="echo $(HOME) $$", variables={"A": "$(B)"}), NAMES)
    main = pod_of(made)["containers"][0]
    assert main["command"][-1] == "echo $$(HOME) $$$$"
    assert {"name": "A", "value": "$$(B)"} in main["env"]


def test_secrets_are_named_and_not_told() -> None:
    made = blueprint(variables={"TOKEN": "hunter2", "A": "b"}, secrets=("TOKEN", "ABSENT"))
    assert "hunter2" not in json.dumps(manifest.job(made, NAMES))
    secret = manifest.secret(made, NAMES, {"uid": "u"})
    assert secret is not None
    assert secret["stringData"] == {"TOKEN": "hunter2"}
    assert secret["metadata"]["ownerReferences"] == [{"uid": "u"}]
    assert manifest.secret(blueprint(), NAMES, {}) is None


def test_a_job_has_what_every_job_should_have() -> None:
    made = manifest.job(blueprint(plain_user=True), NAMES)
    assert made["spec"]["backoffLimit"] == 0
    assert made["spec"]["ttlSecondsAfterFinished"] == 86400
    labels = made["metadata"]["labels"]
    assert labels["app.kubernetes.io/name"] == "My-Project"
    assert labels["proj/run-id"] == "0123456789abcdef" * 2
    pod = pod_of(made)
    assert pod["restartPolicy"] == "Never"
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["fsGroup"] == 1000
    assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    main = pod["containers"][0]
    assert main["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert main["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_an_image_of_the_users_keeps_its_user() -> None:
    security = pod_of(manifest.job(blueprint(), NAMES))["securityContext"]
    assert security == {"seccompProfile": {"type": "RuntimeDefault"}}
    found = pod_of(manifest.job(blueprint(settings={"security": "image"}), NAMES))
    assert "securityContext" not in found
    assert "securityContext" not in found["containers"][0]


def test_settings_become_what_they_name() -> None:
    settings = {
        "cpu": "2", "memory": "4Gi", "gpus": 1, "queue": "team-q", "priority_class": "high", "deadline": "2h",
        "node_selector": {"disk": "ssd"}, "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "service_account": "runner", "image_pull_secrets": ["pull"], "secrets_from": ["s3"],
        "labels": {"a": "b"},
        "annotations": {"c": "d"}, "volumes": [{"path": "/data", "claim": "data", "read-only": True}],
        "dns_policy": "Default", "image_pull_policy": "Always", "environment": {"PIP_INDEX_URL": "x"},
    }  # fmt: skip
    made = manifest.job(blueprint(settings=settings), NAMES)
    pod, main = pod_of(made), pod_of(made)["containers"][0]
    assert main["resources"] == {
        "requests": {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1"},
        "limits": {"memory": "4Gi", "nvidia.com/gpu": "1"},
    }
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-q"
    assert made["spec"]["suspend"] is True
    assert made["spec"]["activeDeadlineSeconds"] == 7200
    assert pod["priorityClassName"] == "high"
    assert pod["nodeSelector"] == {"disk": "ssd"}
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert pod["serviceAccountName"] == "runner"
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    assert main["envFrom"] == [{"secretRef": {"name": "s3"}}]
    assert {"name": "data-0", "mountPath": "/data", "readOnly": True} in main["volumeMounts"]
    assert {"name": "data-0", "persistentVolumeClaim": {"claimName": "data"}} in pod["volumes"]
    assert {"name": "PIP_INDEX_URL", "value": "x"} in main["env"]
    assert (pod["dnsPolicy"], main["imagePullPolicy"]) == ("Default", "Always")


def test_what_is_in_a_template_stays() -> None:
    template = {
        "kind": "Job", "metadata": {"name": "theirs", "generateName": "g-", "labels": {"team": "a"}},
        "spec": {"backoffLimit": 2, "template": {"spec": {
            "restartPolicy": "OnFailure",
            "initContainers": [{"name": "first"}],
            "containers": [
                {"name": "x", "image": "old", "args": ["old"], "env": [{"name": "E", "value": "$(F)"}],
                 "resources": {"limits": {"cpu": "1"}}},
                {"name": "sidecar", "image": "s"},
            ],
        }}},
    }  # fmt: skip
    before = json.dumps(template)
    made = manifest.job(blueprint(settings={"kube_job_template": template, "memory": "1Gi"}), NAMES)
    assert json.dumps(template) == before
    assert made["metadata"]["name"] == "demo-1"
    assert "generateName" not in made["metadata"]
    assert made["metadata"]["labels"]["team"] == "a"
    assert made["spec"]["backoffLimit"] == 2
    pod = pod_of(made)
    assert pod["restartPolicy"] == "OnFailure"
    assert [each["name"] for each in pod["containers"]] == ["my-project", "sidecar"]
    assert pod["initContainers"] == [{"name": "first"}]
    main = pod["containers"][0]
    assert main["image"] == "i"
    assert "args" not in main
    assert main["env"][0] == {"name": "E", "value": "$(F)"}
    assert main["resources"]["limits"] == {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize("name", ["proj/run-id", "proj/session", "app.kubernetes.io/instance"])
def test_labels_by_which_a_run_is_found_are_its_own(name: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"The label {name} is proj's own")):
        blueprint(settings={"labels": {name: "x"}})
    labelled = {"metadata": {"labels": {name: "x"}}}
    template = {"kind": "Job", **labelled, "spec": {"template": labelled}}
    made = manifest.job(blueprint(settings={"kube_job_template": template}), NAMES)
    plain = manifest.job(blueprint(), NAMES)
    for of_template, ours in ((made, plain), (made["spec"]["template"], plain["spec"]["template"])):
        assert of_template["metadata"]["labels"] == ours["metadata"]["labels"]


@pytest.mark.parametrize(
    "unnamed",
    [{}, {"serviceAccountName": None}, {"serviceAccountName": ""}, {"serviceAccount": ""},
     {"automountServiceAccountToken": None}],
)  # fmt: skip
def test_a_template_that_names_no_account_gets_no_token(unnamed: dict[str, Any]) -> None:
    assert filled({**unnamed})["automountServiceAccountToken"] is False
    assert filled({**unnamed, "automountServiceAccountToken": True})["automountServiceAccountToken"] is True


@pytest.mark.parametrize("name", ["serviceAccountName", "serviceAccount"])
def test_a_template_that_names_an_account_gets_its_token(name: str) -> None:
    assert "automountServiceAccountToken" not in filled({name: "runner"})


def test_a_null_of_a_template_takes_no_restraint_away() -> None:
    plain = filled({}, plain_user=True)
    pod, main = plain["securityContext"], plain["containers"][0]["securityContext"]
    nulls = [dict.fromkeys([*pod, *main, "runAsUser", "runAsNonRoot", "seccompProfile"]), None]
    for null in nulls:
        made = filled({"securityContext": null, "containers": [{"securityContext": null}]}, plain_user=True)
        assert (made["securityContext"], made["containers"][0]["securityContext"]) == (pod, main)
    said = filled({"securityContext": {"runAsUser": 1001, "fsGroup": None}}, plain_user=True)
    assert said["securityContext"] == {**pod, "runAsUser": 1001}


def test_labels_that_name_things_are_the_users_to_change() -> None:
    made = manifest.job(blueprint(settings={"labels": {"app.kubernetes.io/name": "theirs"}}), NAMES)
    assert made["metadata"]["labels"]["app.kubernetes.io/name"] == "theirs"


def test_a_template_that_is_no_job_is_refused() -> None:
    with pytest.raises(UsageError, match="'Pod'"):
        manifest.job(blueprint(settings={"kube_job_template": {"kind": "Pod"}}), NAMES)


def test_a_job_begins_when_all_is_there() -> None:
    bundle = bundled(b"code", {})
    held = manifest.held(manifest.job(blueprint(bundle), NAMES))
    assert held["spec"]["parallelism"] == 0
    released = manifest.release(manifest.job(blueprint(bundle), NAMES))
    assert released == {"spec": {"parallelism": 1, "activeDeadlineSeconds": None}}
    queued = manifest.job(blueprint(bundle, settings={"queue": "q"}), NAMES)
    assert "parallelism" not in manifest.held(queued)["spec"]
    assert manifest.held(queued)["metadata"]["annotations"] == {"proj/complete": "false"}


@pytest.mark.parametrize("queue", [None, "q"])
def test_a_job_whose_parts_do_not_come_ends(queue: str | None) -> None:
    settings = {"queue": queue} if queue else {}
    bundle = bundled(b"code", {})
    for deadline in ({}, {"deadline": "1h"}):
        made = manifest.job(blueprint(bundle, settings={**settings, **deadline}), NAMES)
        assert manifest.held(made)["spec"]["activeDeadlineSeconds"] == (3600 if deadline else 600)
        wanted = 3600 if deadline else None
        assert manifest.release(made)["spec"]["activeDeadlineSeconds"] == wanted


@pytest.mark.parametrize("queue", [{}, {"queue": "q"}])
@pytest.mark.parametrize("suspends", [False, True])
def test_a_job_is_held_until_it_is_released(queue: dict[str, str], *, suspends: bool) -> None:
    """Also where a queue's webhook has suspended it, as for a template that has the queue's label."""
    body = manifest.job(blueprint(bundled(b"code", {}), settings=queue), NAMES)
    change = manifest.release(body)
    for made, held in ((manifest.held(body), True), (merged(manifest.held(body), change), False)):
        if suspends:
            made["spec"]["suspend"] = True
        found = msgspec.convert({**made, "metadata": {"uid": "u", **made["metadata"]}}, Job)
        assert manifest.is_held(found) is held


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What a merge patch makes of an object (RFC 7386)."""
    return {
        **one,
        **{
            name: merged(one.get(name) or {}, value) if isinstance(value, dict) else value
            for name, value in other.items()
        },
    }


def test_mere_code_needs_no_init_container() -> None:
    bundle = bundled(b"code", {"x.py": b"x"})
    plain = pod_of(manifest.job(blueprint(bundle), NAMES))
    assert "initContainers" not in plain
    made = pod_of(manifest.job(blueprint(bundle, lock_digest="sha256:ab", python="3.11"), NAMES))
    (init,) = made["initContainers"]
    assert init["name"] == "proj-prepare"
    assert {"name": "PROJ_CODE_SHA256", "value": bundle.code_digest} in init["env"]
    assert any("env/venv/bin" in part for part in made["containers"][0]["command"])


def cached(image: str = "i", **files: bytes) -> Blueprint:
    bundle = bundled(b"code", {name.replace("_", "."): content for name, content in files.items()})
    made = blueprint(bundle, lock_digest="sha256:" + "ab" * 32, settings={"cache_claim": "cache"})
    return msgspec.structs.replace(made, image=image)


def test_a_cache_is_named_by_lock_and_image() -> None:
    made = cached()
    assert made.environment_dir.startswith(f"/mlflow/projects/cache/{'ab' * 12}-i-")
    pod = pod_of(manifest.job(made, NAMES))
    assert {"name": "proj-cache", "persistentVolumeClaim": {"claimName": "cache"}} in pod["volumes"]
    name = "registry.example.org/a/long/name/of/a/team/base:py311"
    assert len({cached(f"{name}-{number}").environment_dir for number in range(20)}) == 20
    assert cached(name).environment_dir == cached(name).environment_dir


def test_a_program_does_not_write_to_a_cache() -> None:
    pod = pod_of(manifest.job(cached(), NAMES))
    mounts = [
        next(each for each in container["volumeMounts"] if each["name"] == "proj-cache")
        for container in (pod["initContainers"][0], pod["containers"][0])
    ]
    cache = {"name": "proj-cache", "mountPath": "/mlflow/projects/cache"}
    assert mounts == [cache, {**cache, "readOnly": True}]
    assert {"name": "PROJ_ENVIRONMENT_SHARED", "value": "1"} in pod["initContainers"][0]["env"]


@pytest.mark.parametrize(
    ("line", "shared"), [(b"./lib/a", False), (b".", False), (b"a @ git+https://host/a@12ab", True)]
)
def test_what_is_made_of_the_code_is_not_shared(line: bytes, *, shared: bool) -> None:
    made = cached(requirements_txt=b"six==1", unhashed_txt=b"b @ git+https://host/b@12ab\n" + line + b"\n")
    assert made.environment_dir.startswith("/mlflow/projects/cache/") == shared
    pod = pod_of(manifest.job(made, NAMES))
    assert ("proj-cache" in json.dumps(pod)) == shared
    if not shared:
        for container in (pod["initContainers"][0], pod["containers"][0]):
            assert "/mlflow/projects/env" in [each["mountPath"] for each in container["volumeMounts"]]


def test_docker_env_is_honoured() -> None:
    docker = DockerDeclaration(image="i", user="1001:5", shm_size="2g", gpus="2")
    pod = pod_of(manifest.job(blueprint(docker=docker), NAMES))
    assert pod["securityContext"]["runAsUser"] == 1001
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}} in pod["volumes"]
    assert pod["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "2"}


def test_folders_of_the_host_need_leave() -> None:
    docker = DockerDeclaration(image="i", volumes=("/data:/data:ro",))
    with pytest.raises(UsageError, match="which a cluster does not have"):
        manifest.job(blueprint(docker=docker), NAMES)
    pod = pod_of(manifest.job(blueprint(docker=docker, settings={"allow_host_path": True}), NAMES))
    assert {"name": "host-0", "hostPath": {"path": "/data"}} in pod["volumes"]
    instead = [{"path": "/data", "claim": "data"}]
    pod = pod_of(manifest.job(blueprint(docker=docker, settings={"volumes": instead}), NAMES))
    assert "hostPath" not in json.dumps(pod)


def test_a_variable_that_no_pod_can_have_is_named() -> None:
    with pytest.raises(UsageError, match="'a b'"):
        manifest.job(blueprint(variables={"a b": "c"}), NAMES)


# --- names --------------------------------------------------------------------------------------------

_DNS = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LABEL = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")


@given(st.text(max_size=120))
def test_names_are_valid_whatever_a_project_is_called(text: str) -> None:
    assert _DNS.fullmatch(slug(text))
    name = job_name(text, "0123456789abcdef" * 2)
    assert _DNS.fullmatch(name)
    assert len(name) <= 57
    assert not label(text) or (_LABEL.fullmatch(label(text)) and len(label(text)) <= 63)


@pytest.mark.parametrize(
    ("name", "takes"), [("A_1", True), ("a.b-c", True), ("1a", False), ("", False), ("a b", False)]
)
def test_names_of_variables(name: str, *, takes: bool) -> None:
    assert is_variable(name) is takes


# --- parts --------------------------------------------------------------------------------------------


def test_code_is_split_and_named_by_its_content() -> None:
    code = bytes(range(256)) * 8192
    made = bundled(code, {"a.py": b"a", "empty": b""})
    files = {name: content for each in made.maps for name, content in each.files.items()}
    assert b"".join(files[name] for name in sorted(files) if name.startswith("code.")) == code
    assert files["a.py"] == b"a"
    assert "empty" not in files
    assert all(sum(map(len, each.files.values())) <= PART_BYTES for each in made.maps)
    assert [each.name for each in bundled(code, {"a.py": b"a"}).maps] == [each.name for each in made.maps]
    assert [each.name for each in bundled(code, {"a.py": b"b"}).maps] != [each.name for each in made.maps]


def test_too_much_code_is_refused() -> None:
    with pytest.raises(BackendError, match="too large"):
        bundled(b"x" * (MOST_BYTES + 1), {})


@pytest.mark.parametrize("lock", [None, "sha256:1"])
def test_who_unpacks_fetched_code_has_the_way_to_it(lock: str | None) -> None:
    bundle = Bundle(code_digest="d", code_artifact="proj/code.tar.gz", maps=())
    variables = {"MLFLOW_TRACKING_URI": "http://h", "MLFLOW_TRACKING_TOKEN": "hunter2", "OTHER": "o"}
    made = manifest.job(
        blueprint(bundle, lock_digest=lock, variables=variables, secrets=("MLFLOW_TRACKING_TOKEN",)), NAMES
    )
    pod = pod_of(made)
    unpacks = pod["initContainers"][0] if lock else pod["containers"][0]
    names = [each["name"] for each in unpacks["env"]]
    assert "MLFLOW_TRACKING_URI" in names
    assert "MLFLOW_TRACKING_TOKEN" in names
    assert "proj/code.tar.gz" in json.dumps(unpacks)
    assert ("OTHER" in names) == (lock is None)
    assert "hunter2" not in json.dumps(made)


# --- settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ('{"namspace": "x"}', "Unknown setting of the backend kubernetes: 'namspace'"),
        ('{"gpus": "many"}', "'gpus'"),
        ('{"gpus": -1}', "no number of GPUs"),
        ('{"ttl": "soon"}', "Not a length of time"),
        ('{"volumes": [{"path": "/x"}]}', "exactly one of"),
        ('{"volumes": [{"path": "x", "claim": "c"}]}', "not absolute"),
        ('{"delivery": "pigeon"}', "delivery"),
        ("{", "no JSON"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(config: str, says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        read_settings(config)


def test_settings_have_defaults() -> None:
    assert read_settings("") == Settings()
    assert (Settings().ttl_s, Settings().pending_s, Settings(queue="q").pending_s) == (86400, 1800.0, None)


@pytest.mark.parametrize(
    "labelled",
    [
        {"kube-job-template": {"kind": "Job", "metadata": {"labels": {QUEUE_LABEL: "q"}}}},
        {"labels": {QUEUE_LABEL: "q"}},
    ],
)
def test_who_waits_in_a_queue_by_a_label_waits_for_ever_too(labelled: dict[str, Any]) -> None:
    assert read_settings(json.dumps(labelled)).pending_s is None
    assert read_settings(json.dumps({**labelled, "pending-timeout": "1m"})).pending_s == 60.0
    for other in ({}, {"metadata": None}, {"metadata": {"labels": None}}):
        assert read_settings(json.dumps({"kube-job-template": {"kind": "Job", **other}})).pending_s == 1800.0


def test_the_template_is_found_by_where_the_user_stands_then_by_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from proj.kube.template import read_template

    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    (there / "job.yaml").write_text("kind: Job\nmetadata: {name: there}\n")
    monkeypatch.chdir(here)
    assert read_template("job.yaml", there)["metadata"] == {"name": "there"}
    (here / "job.yaml").write_text("kind: Job\nmetadata: {name: here}\n")
    assert read_template("job.yaml", there)["metadata"] == {"name": "here"}
    for text in ("kind: Pod\n", "- a\n", "a: [\n", "kind: Job\nspec: {template: {spec: {containers: x}}}\n"):
        (here / "job.yaml").write_text(text)
        with pytest.raises(UsageError, match="template"):
            read_template("job.yaml", there)
    with pytest.raises(UsageError, match="Cannot read"):
        read_template("no.yaml", there)


def test_every_setting_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/kubernetes.md").read_text(encoding="utf-8")
    assert not [name for name in NAMES_OF_SETTINGS if f"`{name}`" not in page]


@pytest.mark.parametrize("name", ["parallelism", "completions"])
def test_a_template_of_several_pods_is_refused(name: str) -> None:
    template = {"kind": "Job", "spec": {name: 3}}
    with pytest.raises(UsageError, match=f"{name}: 3"):
        manifest.job(blueprint(settings={"kube_job_template": template}), NAMES)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(UsageError, match="no UTF-8"):
        manifest.job(blueprint(line="echo a\udce9"), NAMES)


@pytest.mark.parametrize(("deadline", "held"), [("5s", 600), ("1h", 3600)])
def test_a_deadline_of_its_own_holds_from_the_beginning(deadline: str, held: int) -> None:
    made = manifest.job(blueprint(bundled(b"code", {}), settings={"deadline": deadline}), NAMES)
    assert manifest.held(made)["spec"]["activeDeadlineSeconds"] == held


@pytest.mark.parametrize(("name", "value"), [("memory", "16GB"), ("memory", "lots"), ("cpu", "two")])
def test_what_is_no_amount_is_refused(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=value):
        read_settings(json.dumps({name: value}))


def test_amounts_may_be_numbers() -> None:
    made = manifest.job(blueprint(settings={"cpu": 2, "memory": 1000000}), NAMES)
    assert pod_of(made)["containers"][0]["resources"]["requests"] == {"cpu": 2, "memory": 1000000}
