"""The contracts of the stores of models, over one of our servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from httpkit import serving
from proj.errors import StoreError, UsageError
from proj.remote.store import open_remote
from proj.remote.transport import Answer
from proj.testing.inputs import InputContract
from proj.testing.logged_models import LoggedModelContract
from proj.testing.registry import ModelRegistryContract
from proj.tracking import open_tracking
from proj.tracking.logged_models import LoggedModelQuery, LoggedModelStatus, NewLoggedModel
from proj.tracking.registry import NewModelVersion, RegistryQuery
from remotekit import INPUTS_DIFFER, MODELS_DIFFER, REGISTRY_DIFFERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

    from proj.remote.transport import Request
    from proj.tracking import Tracking


@pytest.fixture(name="tracking")
def _tracking(tmp_path: Path) -> Iterator[Tracking]:
    with (
        open_tracking(tmp_path) as kept,
        serving(kept) as served,
        open_remote(served.url) as tracking,
    ):
        yield tracking


class TestRegistry(ModelRegistryContract):
    differences = REGISTRY_DIFFERS

    @pytest.fixture
    def tracking(self, tracking: Tracking) -> Tracking:
        return tracking


class TestLoggedModels(LoggedModelContract):
    differences = MODELS_DIFFER

    @pytest.fixture
    def tracking(self, tracking: Tracking) -> Tracking:
        return tracking


class TestInputs(InputContract):
    differences = INPUTS_DIFFER

    @pytest.fixture
    def tracking(self, tracking: Tracking) -> Tracking:
        return tracking


def test_more_than_an_answer_holds_is_asked_for_in_several(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proj.remote.registry._MAX_MODELS", 2)
    monkeypatch.setattr("proj.remote.registry._MAX_VERSIONS", 2)
    registry = tracking.registry
    for name in "abcde":
        registry.create_model(name)
    for _ in range(5):
        registry.create_version("a", NewModelVersion(source="s3://bucket/x"))
    models = registry.search_models(RegistryQuery(limit=3))
    assert [model.name for model in models.models] == ["a", "b", "c"]
    rest = registry.search_models(RegistryQuery(limit=3, page_token=models.next_page_token))
    assert ([model.name for model in rest.models], rest.next_page_token) == (["d", "e"], None)
    versions = registry.search_versions(RegistryQuery(filter="name = 'a'", limit=5))
    assert ([each.version for each in versions.versions], versions.next_page_token) == ([5, 4, 3, 2, 1], None)


def test_what_the_protocol_cannot_say_is_refused(tracking: Tracking) -> None:
    models = tracking.logged_models
    with pytest.raises(UsageError, match="for good"):
        models.purge_logged_models(["m-1"])
    for query in (LoggedModelQuery(lifecycle="deleted"), LoggedModelQuery(deleted_before_ms=1)):
        with pytest.raises(UsageError, match="deleted models"):
            models.search_logged_models(query)


class _Older:
    """A server without logged models, as mlflow's are before version 3."""

    def send(self, request: Request) -> Answer:
        assert "/logged-models" in request.path
        return Answer(status=404, headers={"content-type": "text/html"}, body=b"<h1>Not Found</h1>")

    def open(self, request: Request) -> AbstractContextManager[tuple[Answer, BinaryIO]]:
        raise NotImplementedError(request)

    def close(self) -> None:
        """Nothing is open."""


def test_a_server_without_logged_models_is_named() -> None:
    with open_remote("http://older:5000", transport=_Older()) as tracking:
        models = tracking.logged_models
        calls: list[Callable[[], object]] = [
            lambda: models.create_logged_model(NewLoggedModel(experiment_id="0")),
            lambda: models.logged_model("m-1"),
            lambda: models.finalize_logged_model("m-1", LoggedModelStatus.READY),
            lambda: models.search_logged_models(LoggedModelQuery(experiment_ids=("0",))),
        ]
        for call in calls:
            with pytest.raises(StoreError, match="http://older:5000 keeps no logged models"):
                call()
