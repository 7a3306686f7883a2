from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from proj.backends.settings import filled, recordable

if TYPE_CHECKING:
    import pytest

SETTINGS: dict[str, Any] = {
    "memory": "1Gi",
    "kube-context": None,
    "volumes": [{"path": "/data", "secret": "named"}],
    "environment": {"INDEX": "https://ada:pw@host/simple", "PLAIN": "v"},
    "kube-job-template": {
        "spec": {"containers": [{"env": [{"name": "API_KEY", "value": "k"}, {"name": "TZ", "value": "UTC"}]}]}
    },
}


def test_no_value_of_a_variable_is_recorded() -> None:
    found = recordable(json.dumps(SETTINGS), by_name=False)
    env = [{"name": "API_KEY", "value": "***"}, {"name": "TZ", "value": "UTC"}]
    assert found == {
        **SETTINGS,
        "environment": {"INDEX": "***", "PLAIN": "***"},
        "kube-job-template": {"spec": {"containers": [{"env": env}]}},
    }


def test_passwords_are_not_recorded() -> None:
    given = json.dumps({"access_token": "t", "cluster": {"url": "https://a:b@host/", "api-key": "k"}})
    found = recordable(given, by_name=True)
    assert found == {"access_token": "***", "cluster": {"url": "***", "api-key": "***"}}
    assert recordable(given, by_name=False)["cluster"] == {"url": "https://***@host/", "api-key": "k"}


def test_what_was_left_out_is_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = recordable(json.dumps(SETTINGS), by_name=False)
    monkeypatch.delenv("PLAIN", raising=False)
    monkeypatch.setenv("INDEX", "here")
    monkeypatch.setenv("value", "of no use")
    found, lost = filled(kept, {"environment": {"PLAIN": "from the project"}})
    assert found["environment"] == {"INDEX": "here", "PLAIN": "from the project"}
    assert lost == ["API_KEY"]
    monkeypatch.setenv("API_KEY", "k")
    found, lost = filled(kept, {"environment": SETTINGS["environment"]})
    assert (found, lost) == (SETTINGS, [])


def test_a_password_that_nobody_knows_is_named() -> None:
    kept = recordable('{"access_token": "t"}', by_name=True)
    assert filled(kept, {}) == ({"access_token": "***"}, ["access_token"])
