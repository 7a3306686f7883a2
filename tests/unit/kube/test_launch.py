"""What is left of a Job whose making went wrong."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from proj import events
from proj.errors import BackendError
from proj.kube import launch as launch_module
from proj.kube.blueprint import Blueprint, Names
from proj.kube.client import Client
from proj.kube.errors import UnreachableClusterError
from proj.kube.kubeconfig import Cluster, Connection, User
from proj.kube.launch import launch
from proj.kube.parts import bundled
from proj.kube.settings import Settings
from proj.model import Command, Execution, HostRuntime

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeapi import Asked, FakeApi

NAMES = Names(job="j", namespace="ns", session="s")


class Jobs:
    """Keeps one Job; `respond` cuts what a test says."""

    def __init__(self, cuts: Callable[[Asked], bool], *, session: str = "s") -> None:
        self.cuts = cuts
        self.session = session
        self.there: dict[str, Any] | None = None
        self.deleted: list[dict[str, Any]] = []

    def __call__(self, asked: Asked) -> None:
        if asked.method == "POST" and asked.path.endswith("/jobs") and self.there is None:
            self.there = json.loads(asked.body)
            self.there["metadata"]["uid"] = "u"
            self.there["metadata"]["labels"]["proj/session"] = self.session
        if self.cuts(asked):
            asked.cut()
        elif asked.path.endswith("/jobs"):
            asked.answer(self.there, 201)
        elif asked.path.endswith("/jobs/j") and self.there is not None:
            if asked.method == "DELETE":
                self.deleted.append(json.loads(asked.body))
            asked.answer(self.there)
        elif asked.method == "PATCH":
            asked.answer({"code": 500, "message": "the disk is full"}, 500)
        else:
            asked.answer({"code": 404}, 404)


def begin(api: FakeApi, *, parts: bool) -> None:
    execution = Execution(
        run_id="r" * 32, run_name="r", project_name="p",
        command=Command(line="true", argv=("true",), cwd="/"), runtime=HostRuntime(), variables={},
        record_dir="",
    )  # fmt: skip
    bundle = bundled(b"code", {}) if parts else None
    blueprint = Blueprint(execution=execution, settings=Settings(), image="i", bundle=bundle)
    client = Client(Connection(cluster=Cluster(server=api.url), user=User()))
    launch(client, blueprint, NAMES, on_name=lambda _: None)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(events, "warning", found.append)
    return found


def test_a_held_job_is_deleted_after_a_long_while(serve: Callable[..., FakeApi], told: list[str]) -> None:
    """The cluster is away for longer than a request of the run's waits."""
    count = itertools.count()
    jobs = Jobs(lambda asked: not asked.path.endswith("/jobs") and next(count) < 8)
    with pytest.raises(UnreachableClusterError):
        begin(serve(jobs), parts=True)
    assert jobs.deleted == [{"propagationPolicy": "Background", "preconditions": {"uid": "u"}}]
    assert not told


def test_a_job_that_stays_is_named(
    serve: Callable[..., FakeApi], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch_module, "_PATIENT_TRIES", 2)
    jobs = Jobs(lambda asked: asked.method == "DELETE")
    with pytest.raises(BackendError, match="the disk is full"):
        begin(serve(jobs), parts=True)
    (warning,) = told
    assert "The Job j in the namespace ns is left" in warning


@pytest.mark.parametrize("session", ["s", "of another process"])
def test_a_job_whose_making_has_no_answer_is_deleted_if_it_is_ours(
    serve: Callable[..., FakeApi], told: list[str], session: str
) -> None:
    jobs = Jobs(lambda asked: asked.method == "POST", session=session)
    with pytest.raises(UnreachableClusterError):
        begin(serve(jobs), parts=False)
    assert len(jobs.deleted) == (1 if session == "s" else 0)
    assert not told


def test_a_job_that_may_have_been_made_is_named(
    serve: Callable[..., FakeApi], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch_module, "_PATIENT_TRIES", 2)
    with pytest.raises(UnreachableClusterError):
        begin(serve(lambda asked: asked.cut()), parts=False)
    (warning,) = told
    assert "The Job j in the namespace ns may have been made" in warning
