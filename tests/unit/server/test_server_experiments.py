from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from httpkit import Client


def new(client: Client, name: str = "wine") -> str:
    return str(client.ok("POST", "experiments/create", name=name)["experiment_id"])


def test_an_experiment_comes_back(client: Client) -> None:
    tags = [{"key": "team", "value": "red"}]
    made = client.ok("POST", "experiments/create", name="wine", tags=tags)["experiment_id"]
    by_name = client.ok("GET", "experiments/get-by-name", experiment_name="wine")["experiment"]
    assert by_name["experiment_id"] == made
    assert by_name["tags"] == tags
    assert by_name["lifecycle_stage"] == "active"
    assert client.ok("GET", "experiments/get", experiment_id=made)["experiment"] == by_name


def test_the_default_experiment_is_there(client: Client) -> None:
    assert client.ok("GET", "experiments/get", experiment_id="0")["experiment"]["name"] == "Default"


def test_a_name_is_taken_once(client: Client) -> None:
    made = new(client)
    assert client.post("experiments/create", name="wine").error == "RESOURCE_ALREADY_EXISTS"
    client.ok("POST", "experiments/delete", experiment_id=made)
    answer = client.post("experiments/create", name="wine")
    assert (answer.status, answer.error) == (400, "RESOURCE_ALREADY_EXISTS")
    assert "deleted" in answer.json["message"]


def test_one_that_is_not_there(client: Client) -> None:
    assert client.get("experiments/get-by-name", experiment_name="x").error == "RESOURCE_DOES_NOT_EXIST"
    assert client.get("experiments/get", experiment_id="99").status == 404
    assert client.get("experiments/get", experiment_id="x").status == 404
    assert client.post("experiments/delete", experiment_id="99").status == 404


def test_it_is_renamed_deleted_and_restored(client: Client) -> None:
    made = new(client)
    client.ok("POST", "experiments/update", experiment_id=made, new_name="beer")
    client.ok("POST", "experiments/delete", experiment_id=made)
    found = client.ok("GET", "experiments/get", experiment_id=made)["experiment"]
    assert (found["name"], found["lifecycle_stage"]) == ("beer", "deleted")
    client.ok("POST", "experiments/restore", experiment_id=made)
    found = client.ok("GET", "experiments/get-by-name", experiment_name="beer")["experiment"]
    assert found["lifecycle_stage"] == "active"


def test_tags_come_and_go(client: Client) -> None:
    client.ok("POST", "experiments/set-experiment-tag", experiment_id="0", key="k", value="v")
    found = client.ok("GET", "experiments/get", experiment_id="0")["experiment"]["tags"]
    assert found == [{"key": "k", "value": "v"}]
    client.ok("POST", "experiments/delete-experiment-tag", experiment_id="0", key="k")
    answer = client.post("experiments/delete-experiment-tag", experiment_id="0", key="k")
    assert answer.error == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "experiments/search"), ("POST", "experiments/search"), ("GET", "experiments/list")],
)
def test_they_are_found_in_pages_by_every_age_of_client(client: Client, method: str, path: str) -> None:
    for name in ("a", "b", "c"):
        new(client, name)
    first = client.ok(method, path, max_results=3, view_type="ACTIVE_ONLY", order_by=["name"])
    token = first["next_page_token"]
    rest = client.ok(
        method, path, max_results=3, page_token=token, view_type="ACTIVE_ONLY", order_by=["name"]
    )
    names = [experiment["name"] for experiment in (*first["experiments"], *rest["experiments"])]
    assert names == ["Default", "a", "b", "c"]


def test_they_are_filtered(client: Client) -> None:
    new(client, "a")
    found = client.ok("GET", "experiments/search", max_results=10, filter="name = 'a'")["experiments"]
    assert [experiment["name"] for experiment in found] == ["a"]


@pytest.mark.parametrize("fields", [{}, {"name": ""}, {"name": "x" * 501}, {"name": ["x"]}])
def test_a_name_that_is_none_is_refused(client: Client, fields: dict[str, object]) -> None:
    answer = client.post("experiments/create", **fields)
    assert (answer.status, answer.error) == (400, "INVALID_PARAMETER_VALUE")
