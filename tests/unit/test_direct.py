"""What a program on a cluster is told of the tracking server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj import direct, place

if TYPE_CHECKING:
    import pytest


def test_a_password_in_the_address_that_pods_use_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(direct.VARIABLE, "http://ada:s3cret@tracking.invalid:5000")
    found = direct.variables_of(place.parse("http://localhost:5000"))
    assert found["MLFLOW_TRACKING_URI"] == "http://tracking.invalid:5000"
    assert (found["MLFLOW_TRACKING_USERNAME"], found["MLFLOW_TRACKING_PASSWORD"]) == ("ada", "s3cret")


def test_an_address_without_a_password_keeps_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(direct.VARIABLE, "http://tracking.invalid:5000")
    found = direct.variables_of(place.parse("http://ada:s3cret@localhost:5000"))
    assert found["MLFLOW_TRACKING_URI"] == "http://tracking.invalid:5000"
    assert found["MLFLOW_TRACKING_PASSWORD"] == "s3cret"
