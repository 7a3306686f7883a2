"""No input makes the parser or the choice of an entry point raise anything but their own errors."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proj import projectfile
from proj.errors import ProjError

EXAMPLES = int(os.environ.get("PROJ_FUZZ_EXAMPLES", "150"))
FILE = Path(__file__).parents[2] / "projects" / "minimal" / "MLproject"

WORDS = st.sampled_from(
    """name python_env conda_env docker_env entry_points main parameters command type default min max choices
    description image volumes environment proj quoting outputs metrics stdout mlflow float path int bool
    true null ~ 1e-3 0.5 2024-01-31 2024-99-99 .nan 0x 1:99 << <<: *a &a !!str !!int !!binary !x --- ... {x}
    """.split()  # noqa: SIM905  reads better than seventy quotes
)
MARKS = st.sampled_from(
    [": ", ":", "\n", "\n  ", "\n    ", "\n      ", "- ", ", ", "{", "}", "[", "]", '"', "'", "|\n", ">\n"]
)
ODD = st.sampled_from("\t#\\\r\x85\ufeff\x00\x1bé\u2028")
TEXTS = st.lists(st.one_of(WORDS, MARKS, ODD, st.text(max_size=3)), max_size=40).map("".join)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), WORDS, st.just(["a", {}])
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=6)),
    max_leaves=20,
)
INPUTS = st.one_of(
    TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=200),
    TREES.map(msgspec.json.encode),
    st.tuples(TREES, TREES).map(
        lambda pair: msgspec.json.encode(
            {
                "entry_points": {"main": {"command": pair[0], "parameters": pair[1]}, "x": pair[0]},
                "proj": pair[1],
            }
        )
    ),
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(INPUTS)
def test_the_parser_raises_its_own_errors_only(data: bytes) -> None:
    try:
        project = projectfile.parse(data, file=FILE)
    except projectfile.ProjectInvalidError:
        return
    assert msgspec.json.encode(project, enc_hook=str)
    for name in (None, *(point.name for point in project.entry_points)):
        with contextlib.suppress(ProjError):
            assert projectfile.entry_point(project, name)[0].name
