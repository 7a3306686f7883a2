from __future__ import annotations

import pytest

from proj.environments.conda.reasons import Need, collision, shown, unmet_need

NEED = """\
Cannot solve the request because of: numpy 1.21.* cannot be installed because there are no viable options:
└─ numpy 1.21.0 | 1.21.1 would require
   └─ python >=3.7,<3.11, for which no candidates were found.""".splitlines()
DEEP = """\
Cannot solve the request because of: The following packages are incompatible
├─ a * can be installed with any of the following options:
│  └─ a 1.0 would require
│     └─ c >=2, which can be installed with any of the following options:
│        └─ c 2.0
└─ b * cannot be installed because there are no viable options:
   └─ b 1.0 would require
      └─ c <2, which cannot be installed because there are no viable options:
         └─ c 1.0, which conflicts with the versions reported above.""".splitlines()
NOTHING = ["Cannot solve the request because of: No candidates were found for numpy 1.22.*."]


def test_a_need_that_nothing_meets() -> None:
    found = unmet_need(NEED)
    assert found == Need(owner="numpy 1.21.0 | 1.21.1", name="python", version=">=3.7,<3.11")
    assert found.text == "python >=3.7,<3.11"
    assert Need(owner="a 1", name="b", version="*").text == "b"
    assert Need(owner="a 1", name="b", version="1.19.*").text == "b 1.19.*"


@pytest.mark.parametrize("lines", [DEEP, NOTHING, []])
def test_needs_that_collide_among_themselves_are_none(lines: list[str]) -> None:
    assert unmet_need(lines) is None


def test_what_collides() -> None:
    assert collision(DEEP) == "a and b cannot be installed together."
    assert collision(NEED) == "numpy 1.21.0 | 1.21.1 cannot be installed."
    assert collision(NOTHING) == "No candidates were found for numpy 1.22.*."


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("numpy", "numpy"),
        ('numpy[version=">=1.2,<2"]', "numpy >=1.2,<2"),
        ('numpy[version="==1.2",build="py_0",channel="https://host/c"]', "numpy ==1.2"),
        ('numpy[build="py_0"]', "numpy"),
    ],
)
def test_specs_as_people_write_them(spec: str, text: str) -> None:
    assert shown(spec) == text
