from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proj import parameterfile, parameters
from proj.errors import UsageError
from proj.model import BoundParameter, EntryPoint, Parameter, ParameterKind

if TYPE_CHECKING:
    from collections.abc import Mapping


def no_download(uri: str) -> Path:
    raise AssertionError(f"nothing is to be downloaded, but {uri} was")


def bind(
    tmp_path: Path, declared: tuple[Parameter, ...], given: Mapping[str, str]
) -> tuple[BoundParameter, ...]:
    caller, project = tmp_path / "caller", tmp_path / "project"
    caller.mkdir(exist_ok=True)
    project.mkdir(exist_ok=True)
    point = EntryPoint(name="main", command="", parameters=declared)
    return parameters.bind(
        point,
        given,
        caller_dir=caller,
        project_dir=project,
        download=lambda uri: Path("/got") / Path(uri).name,
    )


def values(bound: tuple[BoundParameter, ...]) -> dict[str, str]:
    return {parameter.name: parameter.value for parameter in bound}


def refused(tmp_path: Path, declared: Parameter, value: str) -> str:
    with pytest.raises(UsageError) as caught:
        bind(tmp_path, (declared,), {declared.name: value})
    return caught.value.message


# --- -P -------------------------------------------------------------------------------------------------


def test_an_assignment_is_split_at_the_first_equals_sign() -> None:
    assert parameters.parse_assignments(["a=b=c", "b=", "c= x "]) == {"a": "b=c", "b": "", "c": " x "}


@pytest.mark.parametrize("item", ["alpha", "", "=1"])
def test_an_assignment_without_name_or_value_is_refused_in_mlflows_words(item: str) -> None:
    with pytest.raises(UsageError, match="Invalid format for -P parameter") as caught:
        parameters.parse_assignments([item])
    assert f"'{item}'. Use -P name=value." in caught.value.message


def test_a_repeated_assignment_is_refused() -> None:
    with pytest.raises(UsageError, match="Repeated parameter: 'a'"):
        parameters.parse_assignments(["a=1", "b=2", "a=1"])


# --- files ----------------------------------------------------------------------------------------------

YAML = """\
rate: 1e-3
flag: true
code: 007
day: 2024-01-31
answer: yes
quoted: "a b"
text: |
  two
  lines
on: x
nothing: null
empty:
layers: [64, 1e-3, 007, a, true, null, {k: 1.50}]
"""


def test_a_yaml_file_gives_scalars_as_they_are_written_and_the_rest_as_json(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(YAML)
    assert parameterfile.load_file(file) == {
        "rate": "1e-3",
        "flag": "true",
        "code": "007",
        "day": "2024-01-31",
        "answer": "yes",
        "quoted": "a b",
        "text": "two\nlines\n",
        "on": "x",
        "layers": '[64, 1e-3, "007", "a", true, null, {"k": 1.50}]',
    }


def test_a_json_file_gives_numbers_in_its_own_digits(tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text(
        '{"rate": 1e-3, "n": 1.50, "flag": true, "t": "a\\/\\ud83d\\ude00", "l": [1.0, "x"], "no": null}'
    )
    assert parameterfile.load_file(file) == {
        "rate": "1e-3",
        "n": "1.50",
        "flag": "true",
        "t": "a/😀",
        "l": '[1.0, "x"]',
    }


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("p.yaml", "- a\n", "must map names to values"),
        ("p.yaml", "", "must map names to values"),
        ("p.yaml", "a: 1\na: 2\n", "p.yaml:2:1: Repeated parameter: 'a'"),
        ("p.yaml", "a: [1\n", "p.yaml:2:1: Not valid YAML"),
        ("p.json", '{"a": 1, "a": 2}', "gives a name twice"),
        ("p.json", '{"a": ', "p.json:1:7: Not valid JSON"),
        ("p.json", "[" * 100_000, "nested too deep"),
        ("p.json", "3", "must map names to values"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        parameterfile.load_file(file)
    assert words in caught.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Cannot read the parameter file .*none\.yaml: No such file"):
        parameterfile.load_file(tmp_path / "none.yaml")


# --- binding --------------------------------------------------------------------------------------------


def test_declared_parameters_come_first_then_the_others_in_the_order_given(tmp_path: Path) -> None:
    declared = (Parameter(name="b", default="1"), Parameter(name="a"))
    bound = bind(tmp_path, declared, {"z": "9", "a": "2", "y": "8"})
    assert [(p.name, p.given, p.declared) for p in bound] == [
        ("b", "1", True),
        ("a", "2", True),
        ("z", "9", False),
        ("y", "8", False),
    ]


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    declared = (
        Parameter(name="rate", kind=ParameterKind.FLOAT, declared_type="float"),
        Parameter(name="epochs"),
        Parameter(name="data", kind=ParameterKind.PATH, declared_type="path"),
    )
    with pytest.raises(UsageError) as caught:
        bind(tmp_path, declared, {"rate": "fast", "epocs": "3", "data": "none.csv"})
    message = caught.value.message
    assert "missing parameters: 'epochs'" in message
    assert "`rate` (float) must be a number, not 'fast'" in message
    assert "`data` (path) names 'none.csv', which does not exist" in message
    assert caught.value.hint == "Give them with -P epochs=VALUE. Did you mean `epochs` with `epocs`?"


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (
            ParameterKind.INTEGER,
            ["3", "-3", " 3", "1e6", "5.0", "0x10", "1_000"],
            ["", "3.5", "x", "inf", "nan"],
        ),
        (ParameterKind.FLOAT, ["3", "1e-3", "nan", "-inf", ".5"], ["", "None", "1,5"]),
        (
            ParameterKind.BOOLEAN,
            ["true", "False", "YES", "no", "ON", "off", "y", "N", "t", "F", "1", "0"],
            ["", "2", "none", "tru"],
        ),
        (ParameterKind.JSON, ["[1]", '{"a": 1}', "null"], ["", "{a: 1}", "[" * 100_000]),
        (ParameterKind.STRING, ["", "x"], []),
        (ParameterKind.LIST, ["", "a,b", "[1]"], []),
    ],
)
def test_values_that_do_not_fit_their_type_are_refused(
    tmp_path: Path, kind: ParameterKind, good: list[str], bad: list[str]
) -> None:
    declared = Parameter(name="p", kind=kind)
    for value in good:
        assert values(bind(tmp_path, (declared,), {"p": value})) == {"p": value}
    for value in bad:
        assert "must be" in refused(tmp_path, declared, value)


def test_a_range_and_choices_are_held(tmp_path: Path) -> None:
    number = Parameter(name="p", kind=ParameterKind.FLOAT, minimum=0, maximum=1)
    assert values(bind(tmp_path, (number,), {"p": "1"})) == {"p": "1"}
    assert "at most 1" in refused(tmp_path, number, "1.01")
    assert "at least 0" in refused(tmp_path, number, "-1")
    assert "at least 0" in refused(tmp_path, number, "nan")
    choice = Parameter(name="p", kind=ParameterKind.CHOICE, choices=("sgd", "adam"))
    assert "must be one of sgd, adam, not 'x'" in refused(tmp_path, choice, "x")


def test_a_default_of_any_form_runs_and_may_be_given_too(tmp_path: Path) -> None:
    declared = Parameter(name="p", kind=ParameterKind.FLOAT, default="None")
    assert values(bind(tmp_path, (declared,), {})) == {"p": "None"}
    assert values(bind(tmp_path, (declared,), {"p": "None"})) == {"p": "None"}


def test_a_value_with_a_nul_is_refused(tmp_path: Path) -> None:
    assert "NUL" in refused(tmp_path, Parameter(name="p"), "a\0b")


def test_a_given_path_starts_where_the_caller_stands(tmp_path: Path) -> None:
    declared = Parameter(name="p", kind=ParameterKind.PATH)
    bind(tmp_path, (), {})
    (tmp_path / "project" / "d.csv").touch()
    assert "does not exist" in refused(tmp_path, declared, "d.csv")
    (tmp_path / "caller" / "d.csv").touch()
    (bound,) = bind(tmp_path, (declared,), {"p": "d.csv"})
    assert bound.value == str(tmp_path / "caller" / "d.csv")
    assert bound.given == "d.csv"


def test_a_folder_is_named_once(tmp_path: Path) -> None:
    data = Parameter(name="data", kind=ParameterKind.PATH, default="x", declared_type="path")
    point = EntryPoint(name="main", command="", parameters=(data,))
    with pytest.raises(UsageError) as caught:
        parameters.bind(point, {}, caller_dir=tmp_path, project_dir=tmp_path, download=no_download)
    assert caught.value.message.count(str(tmp_path)) == 1


def test_a_default_path_starts_in_the_project_then_where_the_caller_stands(tmp_path: Path) -> None:
    declared = (Parameter(name="p", kind=ParameterKind.PATH, default="d.csv"),)
    bind(tmp_path, (), {})
    (tmp_path / "caller" / "d.csv").touch()
    assert values(bind(tmp_path, declared, {})) == {"p": str(tmp_path / "caller" / "d.csv")}
    (tmp_path / "project" / "d.csv").touch()
    assert values(bind(tmp_path, declared, {})) == {"p": str(tmp_path / "project" / "d.csv")}


def test_a_path_upwards_may_start_behind_a_link(tmp_path: Path) -> None:
    declared = (Parameter(name="p", kind=ParameterKind.PATH, default="../d.csv"),)
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "real" / "d.csv").touch()
    bind(tmp_path, (), {})
    (tmp_path / "project").rmdir()
    (tmp_path / "project").symlink_to("real/inner")
    assert values(bind(tmp_path, declared, {})) == {"p": str(tmp_path / "real" / "d.csv")}
    (tmp_path / "d.csv").touch()
    assert values(bind(tmp_path, declared, {})) == {"p": str(tmp_path / "d.csv")}


def test_a_file_uri_is_a_local_path_and_others_are_downloaded(tmp_path: Path) -> None:
    declared = (Parameter(name="p", kind=ParameterKind.PATH),)
    (tmp_path / "a b.csv").touch()
    assert values(bind(tmp_path, declared, {"p": f"file://{tmp_path}/a%20b.csv"})) == {
        "p": str(tmp_path / "a b.csv")
    }
    assert values(bind(tmp_path, declared, {"p": "s3://bucket/x.csv"})) == {"p": "/got/x.csv"}


def test_nothing_is_downloaded_when_another_value_is_wrong(tmp_path: Path) -> None:
    point = EntryPoint(
        name="main",
        command="",
        parameters=(Parameter(name="p", kind=ParameterKind.PATH), Parameter(name="q")),
    )
    with pytest.raises(UsageError, match="'q'"):
        parameters.bind(
            point, {"p": "https://h/x"}, caller_dir=tmp_path, project_dir=tmp_path, download=no_download
        )


def test_an_empty_path_stays_empty(tmp_path: Path) -> None:
    declared = (Parameter(name="p", kind=ParameterKind.PATH, default=""),)
    assert values(bind(tmp_path, declared, {})) == {"p": ""}


def test_a_local_uri_is_made_absolute_and_others_stay(tmp_path: Path) -> None:
    declared = (Parameter(name="p", kind=ParameterKind.URI), Parameter(name="q", kind=ParameterKind.URI))
    assert values(bind(tmp_path, declared, {"p": "out/x", "q": "runs:/1/model"})) == {
        "p": str(tmp_path / "caller" / "out" / "x"),
        "q": "runs:/1/model",
    }


EPOCHS = EntryPoint(
    name="main", command="", parameters=(Parameter(name="epochs"), Parameter(name="epoch_size"))
)


@pytest.mark.parametrize(
    ("given", "notes"),
    [
        ({"epocs": "5"}, ("-P epocs is not declared; it is passed as --epocs 5. Did you mean epochs?",)),
        (
            {"Epochs": "a b"},
            ("-P Epochs is not declared; it is passed as --Epochs 'a b'. Did you mean epochs?",),
        ),
        ({"epochs": "5", "epocs": "5"}, ()),
        ({"epochs": "5", "device": "cpu"}, ()),
        ({}, ()),
    ],
)
def test_an_undeclared_name_that_is_likely_a_slip_is_noted(
    given: dict[str, str], notes: tuple[str, ...]
) -> None:
    assert parameters.undeclared_notes(EPOCHS, given) == notes


def test_the_note_on_a_slip_cuts_a_long_value() -> None:
    (note,) = parameters.undeclared_notes(EPOCHS, {"epocs": "x" * 500})
    assert len(note) < 150
