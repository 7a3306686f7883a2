from __future__ import annotations

from pathlib import Path

import pytest

from proj.backends.docker.volumes import expanded
from proj.errors import UsageError

HERE = Path("/work/project")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("$(pwd)/data:/data:ro", "/work/project/data:/data:ro"),
        ("${PWD}:/data", "/work/project:/data"),
        ("$ROOT/x:/data", "/root/x:/data"),
        ("./data:/data", "/work/project/data:/data"),
        ("../data:/data", "/work/data:/data"),
        ("named:/data", "named:/data"),
        ("/data", "/data"),
        ("$(rm -rf x):/data", "$(rm -rf x):/data"),
    ],
)
def test_a_volume_is_expanded_without_a_shell(written: str, meant: str) -> None:
    assert expanded(written, HERE, {"ROOT": "/root"}) == meant


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(UsageError, match="MISSING"):
        expanded("$MISSING:/data", HERE, {})


def test_a_value_with_a_colon_mounts_nothing_elsewhere() -> None:
    with pytest.raises(UsageError, match="colon"):
        expanded("$(pwd)", Path("/work:/etc"), {})
    with pytest.raises(UsageError, match="colon"):
        expanded("$ROOT:/data", HERE, {"ROOT": "/a:/etc"})
