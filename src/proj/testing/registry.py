"""The contract suite of `ModelRegistry`; subclass it as `proj.testing.stores` shows."""
# ruff: noqa: S101, S106, PLR2004, D102  asserts and literals as in tests; a test's name says what it shows

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from proj.errors import AlreadyExistsError, NotFoundError, UsageError
from proj.testing.differences import Contract
from proj.testing.threads import in_threads
from proj.tracking.logged_models import NewLoggedModel
from proj.tracking.registry import NewModelVersion, RegistryQuery, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from proj.tracking import Tracking
    from proj.tracking.registry import ModelRegistry

PROMPT = {"mlflow.prompt.is_prompt": "true"}


def add(
    registry: ModelRegistry,
    name: str,
    *,
    source: str = "s3://bucket/x",
    run_id: str | None = None,
    model_id: str | None = None,
) -> int:
    """Add a version and return its number."""
    new = NewModelVersion(source=source, run_id=run_id, model_id=model_id)
    return registry.create_version(name, new).version


def _models(registry: ModelRegistry, query: RegistryQuery) -> list[str]:
    found: list[str] = []
    token: str | None = None
    while True:
        page = registry.search_models(
            RegistryQuery(filter=query.filter, order_by=query.order_by, limit=query.limit, page_token=token)
        )
        found += [model.name for model in page.models]
        token = page.next_page_token
        if token is None:
            return found
        assert len(page.models) == query.limit


def _versions(registry: ModelRegistry, query: RegistryQuery) -> list[str]:
    found: list[str] = []
    token: str | None = None
    while True:
        page = registry.search_versions(
            RegistryQuery(filter=query.filter, order_by=query.order_by, limit=query.limit, page_token=token)
        )
        found += [f"{version.name}{version.version}" for version in page.versions]
        token = page.next_page_token
        if token is None:
            return found
        assert len(page.versions) == query.limit


class ModelRegistryContract(Contract):
    """What every `ModelRegistry` guarantees. Subclasses give the fixture `tracking`, with empty stores."""

    @pytest.fixture
    def tracking(self) -> Tracking:
        raise NotImplementedError

    @pytest.fixture
    def registry(self, tracking: Tracking) -> ModelRegistry:
        return tracking.registry

    # --- registered models ----------------------------------------------------------------------------

    def test_a_model_comes_back_as_it_was_registered(self, registry: ModelRegistry) -> None:
        made = registry.create_model("wine é", description="of grapes", tags={"a": "1", "empty": ""})
        assert (made.name, made.description) == ("wine é", "of grapes")
        assert made.tags == {"a": "1", "empty": ""}
        assert made.created_ms == made.updated_ms > 0
        assert (made.aliases, made.latest_versions) == ({}, ())
        assert registry.model("wine é") == made

    def test_a_name_is_registered_once(self, registry: ModelRegistry) -> None:
        registry.create_model("wine")
        registry.create_model("beer")
        with pytest.raises(AlreadyExistsError, match="wine"):
            registry.create_model("wine", tags={"a": "1"})
        with pytest.raises(AlreadyExistsError, match="beer"):
            registry.rename_model("wine", "beer")
        assert registry.model("wine").tags == {}

    def test_a_renamed_model_keeps_all_it_has(self, registry: ModelRegistry) -> None:
        registry.create_model("wine", tags={"a": "1"})
        number = add(registry, "wine")
        registry.set_alias("wine", "best", number)
        assert registry.rename_model("wine", "beer").name == "beer"
        assert registry.model("beer").tags == {"a": "1"}
        assert registry.version_by_alias("beer", "best").name == "beer"
        with pytest.raises(NotFoundError):
            registry.model("wine")

    def test_a_description_is_set_and_taken_away(self, registry: ModelRegistry) -> None:
        registry.create_model("wine")
        number = add(registry, "wine")
        for text in ("better", None):
            assert registry.describe_model("wine", text).description == text
            assert registry.describe_version("wine", number, text).description == text

    def test_tags_are_set_and_removed(self, registry: ModelRegistry) -> None:
        registry.create_model("wine", tags={"a": "1", "b": "1"})
        registry.set_model_tags("wine", {"a": "2", "c": "3"})
        assert registry.remove_model_tags("wine", "b", "never-there") == 1
        assert registry.model("wine").tags == {"a": "2", "c": "3"}
        number = add(registry, "wine")
        registry.set_version_tags("wine", number, {"a": "1", "b": "2"})
        registry.set_version_tags("wine", number, {"a": "3"})
        assert registry.remove_version_tags("wine", number, "b", "never-there") == 1
        assert registry.version("wine", number).tags == {"a": "3"}

    def test_a_deleted_model_takes_its_versions_along(self, registry: ModelRegistry) -> None:
        registry.create_model("wine", tags={"a": "1"})
        registry.set_alias("wine", "best", add(registry, "wine"))
        registry.delete_model("wine")
        assert _models(registry, RegistryQuery()) == _versions(registry, RegistryQuery()) == []
        again = registry.create_model("wine")
        assert (again.tags, again.aliases, again.latest_versions) == ({}, {}, ())
        assert add(registry, "wine") == 1

    def test_what_is_not_registered_is_not_found(self, registry: ModelRegistry) -> None:
        registry.create_model("wine")
        calls: list[Callable[[], object]] = [
            *(functools.partial(registry.version, "wine", number) for number in (1, 0, -1, 2**70)),
            lambda: registry.model("no"),
            lambda: registry.rename_model("no", "yes"),
            lambda: registry.describe_model("no", ""),
            lambda: registry.delete_model("no"),
            lambda: registry.latest_versions("no"),
            lambda: registry.set_model_tags("no", {"a": "1"}),
            lambda: registry.remove_model_tags("no", "a"),
            lambda: add(registry, "no"),
            lambda: registry.describe_version("wine", 1, ""),
            lambda: registry.delete_version("wine", 1),
            lambda: registry.transition_stage("wine", 1, Stage.STAGING),
            lambda: registry.set_version_tags("wine", 1, {"a": "1"}),
            lambda: registry.remove_version_tags("wine", 1, "a"),
            lambda: registry.set_alias("wine", "best", 1),
            lambda: registry.remove_alias("no", "best"),
            lambda: registry.version_by_alias("wine", "best"),
            lambda: registry.version_by_alias("wine", "latest"),
            lambda: registry.version_by_alias("no", "best"),
        ]
        for call in calls:
            with pytest.raises(NotFoundError):
                call()

    # --- versions -------------------------------------------------------------------------------------

    def test_a_version_comes_back_as_it_was_created(self, registry: ModelRegistry) -> None:
        registry.create_model("wine")
        made = registry.create_version(
            "wine",
            NewModelVersion(
                source="s3://bucket/model",
                run_id="a" * 32,
                run_link="http://there",
                description="first",
                tags={"a": "1"},
            ),
        )
        assert (made.name, made.version, made.stage, made.status) == ("wine", 1, Stage.NONE, "READY")
        assert (made.source, made.storage_location) == ("s3://bucket/model", "s3://bucket/model")
        assert (made.run_id, made.run_link) == ("a" * 32, "http://there")
        assert (made.description, made.tags, made.aliases) == ("first", {"a": "1"}, ())
        assert registry.version("wine", 1) == made
        assert registry.model("wine").latest_versions == (made,)

    def test_a_version_knows_who_made_it(self, registry: ModelRegistry) -> None:
        registry.create_model("wine")
        registry.create_version("wine", NewModelVersion(source="s3://bucket/model", user="ada"))
        assert registry.version("wine", 1).user == "ada"

    def test_a_number_is_given_once(self, registry: ModelRegistry) -> None:
        registry.create_model("wine")
        assert [add(registry, "wine") for _ in range(3)] == [1, 2, 3]
        registry.delete_version("wine", 3)
        assert add(registry, "wine") == 4
        with pytest.raises(NotFoundError):
            registry.version("wine", 3)

    def test_threads_add_versions_at_once(self, registry: ModelRegistry) -> None:
        registry.create_model("wine")
        numbers: list[int] = []
        in_threads([lambda: numbers.extend(add(registry, "wine") for _ in range(10))] * 4)
        assert sorted(numbers) == list(range(1, 41))

    def test_a_source_that_is_a_version_is_looked_up(self, registry: ModelRegistry) -> None:
        registry.create_model("wine")
        registry.create_model("copy")
        add(registry, "wine", source="s3://bucket/model")
        number = add(registry, "copy", source="models:/wine/1")
        copied = registry.version("copy", number)
        assert (copied.source, copied.storage_location) == ("models:/wine/1", "s3://bucket/model")
        add(registry, "copy", source=f"models:/copy/{number}")
        assert registry.version("copy", 2).storage_location == "s3://bucket/model"
        for source in ("models:/wine/9", "models:/nothing/1", "models:/m-unknown"):
            with pytest.raises(NotFoundError):
                add(registry, "copy", source=source)
        assert registry.model("copy").latest_versions[0].version == 2, "what fails takes no number"

    def test_a_source_that_names_no_version_is_a_usage_error(self, registry: ModelRegistry) -> None:
        registry.create_model("wine")
        with pytest.raises(UsageError, match="names no version"):
            add(registry, "wine", source="models:/wine/Staging")

    def test_a_source_that_is_a_logged_model_is_looked_up(
        self, tracking: Tracking, registry: ModelRegistry
    ) -> None:
        logged = tracking.logged_models.create_logged_model(
            NewLoggedModel(experiment_id="0", source_run_id="b" * 32)
        )
        registry.create_model("wine")
        add(registry, "wine", source=f"models:/{logged.model_id}")
        found = registry.version("wine", 1)
        assert (found.storage_location, found.run_id) == (logged.artifact_location, "b" * 32)
        add(registry, "wine", source="s3://elsewhere/x", model_id=logged.model_id)
        found = registry.version("wine", 2)
        assert (found.storage_location, found.run_id) == ("s3://elsewhere/x", "b" * 32)

    def test_a_version_knows_its_logged_model(self, tracking: Tracking, registry: ModelRegistry) -> None:
        logged = tracking.logged_models.create_logged_model(NewLoggedModel(experiment_id="0"))
        registry.create_model("wine")
        add(registry, "wine", source="s3://elsewhere/x", model_id=logged.model_id)
        assert registry.version("wine", 1).model_id == logged.model_id

    def test_stages(self, registry: ModelRegistry) -> None:
        registry.create_model("wine")
        for _ in range(3):
            add(registry, "wine")
        registry.transition_stage("wine", 1, Stage.STAGING)
        registry.transition_stage("wine", 2, Stage.STAGING)
        assert [each.version for each in registry.latest_versions("wine")] == [2, 3]
        assert [each.version for each in registry.latest_versions("wine", [Stage.STAGING])] == [2]
        assert registry.latest_versions("wine", [Stage.PRODUCTION]) == ()
        moved = registry.transition_stage("wine", 3, Stage.STAGING, archive_existing=True)
        assert moved.stage is Stage.STAGING
        stages = [registry.version("wine", number).stage for number in (1, 2, 3)]
        assert stages == [Stage.ARCHIVED, Stage.ARCHIVED, Stage.STAGING]
        for stage in (Stage.NONE, Stage.ARCHIVED):
            with pytest.raises(UsageError):
                registry.transition_stage("wine", 3, stage, archive_existing=True)

    # --- aliases --------------------------------------------------------------------------------------

    def test_an_alias_points_at_one_version_at_a_time(self, registry: ModelRegistry) -> None:
        registry.create_model("wine")
        for _ in range(2):
            add(registry, "wine")
        registry.set_alias("wine", "best", 1)
        registry.set_alias("wine", "fast", 1)
        assert registry.version("wine", 1).aliases == ("best", "fast")
        registry.set_alias("wine", "best", 2)
        assert registry.version_by_alias("wine", "best").version == 2
        assert registry.version_by_alias("wine", "best").aliases == ("best",)
        assert registry.version_by_alias("wine", "latest").version == 2
        assert registry.model("wine").aliases == {"best": 2, "fast": 1}
        registry.remove_alias("wine", "fast")
        registry.remove_alias("wine", "fast")
        registry.delete_version("wine", 2)
        assert registry.model("wine").aliases == {}

    # --- search ---------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", "abc"),
            ("name = 'a'", "a"),
            ("name LIKE 'A%'", ""),
            ("name ILIKE 'A%' and tags.team = 'red'", "a"),
            ("name != 'a'", "bc"),
            ("name IN ('a', 'c', 'x')", "ac"),
            ("tags.team LIKE 're%'", "ab"),
            ("tags.team != 'red'", "b"),
            ("tags.`mlflow.prompt.is_prompt` = 'true'", "p"),
            ("tags.`mlflow.prompt.is_prompt` = 'false'", "abc"),
            ("tags.`mlflow.prompt.is_prompt` != 'true' and name = 'b'", "b"),
        ],
    )
    def test_models_are_searched(self, registry: ModelRegistry, text: str, expected: str) -> None:
        registry.create_model("c")
        registry.create_model("b", tags={"team": "redder"})
        registry.create_model("a", tags={"team": "red"})
        registry.create_model("p", tags=PROMPT)
        for limit in (1, 2, 100):
            query = RegistryQuery(filter=text, limit=limit)
            assert "".join(_models(registry, query)) == expected
            backwards = RegistryQuery(filter=text, limit=limit, order_by=("name DESC",))
            assert "".join(_models(registry, backwards)) == expected[::-1]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", ["a1", "a2", "b1"]),
            ("name = 'a'", ["a1", "a2"]),
            ("run_id = 'r2'", ["a2"]),
            ("run_id IN ('r1', 'r2')", ["a1", "a2"]),
            ("version_number > 1", ["a2"]),
            ("version_number = '2'", ["a2"]),
            ("source_path LIKE 's3://%/y'", ["b1"]),
            ("tags.k = 'v'", ["a2"]),
            ("tag.k ILIKE 'V' and name = 'a'", ["a2"]),
            ("tags.`mlflow.prompt.is_prompt` = 'true'", ["p1"]),
        ],
    )
    def test_versions_are_searched(self, registry: ModelRegistry, text: str, expected: list[str]) -> None:
        for name in "ab":
            registry.create_model(name)
        registry.create_model("p", tags=PROMPT)
        add(registry, "a", run_id="r1")
        add(registry, "a", run_id="r2")
        add(registry, "b", source="s3://b/y")
        add(registry, "p")
        registry.set_version_tags("a", 2, {"k": "v"})
        registry.set_version_tags("p", 1, PROMPT)
        for limit in (1, 2, 100):
            order = ("name", "version_number ASC")
            assert _versions(registry, RegistryQuery(filter=text, limit=limit, order_by=order)) == expected
        assert sorted(_versions(registry, RegistryQuery(filter=text))) == expected

    @pytest.mark.parametrize(
        "query",
        [
            RegistryQuery(filter="nmae = 'x'"),
            RegistryQuery(filter="metrics.a = 1"),
            RegistryQuery(filter="version_number = 'two'"),
            RegistryQuery(order_by=("nothing",)),
            RegistryQuery(limit=0),
            RegistryQuery(page_token="nonsense"),
        ],
    )
    def test_what_cannot_be_understood_is_a_usage_error(
        self, registry: ModelRegistry, query: RegistryQuery
    ) -> None:
        for search in (registry.search_models, registry.search_versions):
            with pytest.raises(UsageError):
                search(query)
