"""Whether a lock of another tool fits what the conda file asks for, as `--locked` wants it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from proj.environments.conda.declared import read_project
from proj.environments.conda.fit import check_fit
from proj.environments.conda.lock import CondaLock
from proj.environments.conda.messages import Locked
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from environment_kit import RequestMaker
    from unit.environments.conda.conftest import CondaProjectMaker

PIP = '[[packages]]\nname = "tiny"\nversion = "1.5"\n'
PIP += 'wheels = [{ url = "https://h/tiny-1.5-py3-none-any.whl" }]\n'
FILES = ("linux-64/python-3.9.7-h1_0.conda", "noarch/alpha-1.0-py_0.conda", "noarch/pip-23.0-py_0.conda")


@pytest.fixture
def fit(
    conda_project: CondaProjectMaker, request_for: RequestMaker, channel: Path
) -> Callable[[tuple[str, ...], tuple[str, ...]], None]:
    """Compares what a file asks of conda and pip with a lock of Python 3.9.7, alpha 1.0, tiny 1.5."""

    def compare(specs: tuple[str, ...], pip: tuple[str, ...] = ()) -> None:
        tail = f"- pip: {json.dumps(pip)}\n" if pip else ""
        request = request_for(conda_project(*specs, tail=tail))
        digests = [
            json.loads((channel / file.partition("/")[0] / "repodata.json").read_bytes())["packages.conda"][
                file.partition("/")[2]
            ]["sha256"]
            for file in FILES
        ]
        packages = [
            Locked(url=f"{channel.as_uri()}/{file}", sha256=digest)
            for file, digest in zip(FILES, digests, strict=True)
        ]
        lock = CondaLock(platform="linux-64", packages=tuple(packages), pip=PIP, shipped=True)
        check_fit(lock, read_project(request, "linux-64"), request)

    return compare


@pytest.mark.parametrize(
    ("specs", "pip"),
    [
        (("python=3.9", "alpha<2"), ()),
        (("alpha[build_number='<1']",), ()),
        (("__glibc>=2", "alpha"), ()),
        (("alpha=1.0=another_build",), ()),
        (("python",), ("tiny>=1,<2", "tiny ~= 1.4", "alpha==1.0", "Tiny[extra]==1.5")),
        (("python",), ("other; python_version<'3'",)),
        (("python",), ("tiny @ https://h/tiny-1.5-py3-none-any.whl",)),
    ],
)  # fmt: skip
def test_what_fits(fit: Callable[..., None], specs: tuple[str, ...], pip: tuple[str, ...]) -> None:
    fit(specs, pip)


@pytest.mark.parametrize(
    ("specs", "pip", "unmet"),
    [
        (("python=3.9", "alpha>=2"), (), "alpha"),
        (("alpha[build_number='>=3']",), (), "build_number"),
        (("alpha[license=GPL]",), (), "license"),
        (("https://elsewhere.example.org/c::alpha",), (), "elsewhere"),
        (("python",), ("tiny==2.0",), "tiny==2.0"),
        (("python",), ("tiny>=1.6",), "tiny>=1.6"),
        (("python",), ("other",), "other"),
    ],
)
def test_what_does_not(
    fit: Callable[..., None], specs: tuple[str, ...], pip: tuple[str, ...], unmet: str
) -> None:
    with pytest.raises(EnvironmentFailedError, match="nothing in it meets") as caught:
        fit(specs, pip)
    assert unmet in caught.value.message
    assert "--frozen" in (caught.value.hint or "")
