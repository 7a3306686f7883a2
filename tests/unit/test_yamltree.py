from __future__ import annotations

import pytest
import yaml

from proj.model import Position
from proj.yamltree import (
    Mapping,
    Scalar,
    Sequence,
    YamlError,
    construct,
    decode,
    entries,
    parse,
    split_lines,
    text_of,
)


def mapping(text: str) -> Mapping:
    node = parse(text)
    assert isinstance(node, Mapping)
    return node


def test_nodes_know_where_they_stand() -> None:
    root = mapping("a: 1\nb:\n  - x\n  - |\n    two\n    lines\n")
    (_, first), (key, second) = root.pairs
    assert (first.position, key.position) == (Position(line=1, column=4), Position(line=2, column=1))
    assert isinstance(second, Sequence)
    block = second.items[1]
    assert isinstance(block, Scalar)
    assert (block.style, block.line, block.end_line, block.text) == ("|", 4, 7, "two\nlines\n")


@pytest.mark.parametrize(
    "text",
    [
        "[1, 0x1f, 1_0, 010, 1:30, 1.5, .inf, 1e3, 1.0e+3, true, No, ~, null, '', =x, 2024-01-31, a b]",
        "2001-12-14t21:59:43.10-05:00",
        "!!binary aGVsbG8=",
        "!!set {a, b}",
        "{a: &x {b: c}, d: {<<: *x, e: f}, g: {<<: [{h: 1}, {h: 2}], b: 0}}",
        "{type:float, default:0.5, u: http://x/y}",
        "{1: a, true: b, null: c}",
        '"esc \\u00e9 \\x41 \\n"',
        "? long\n: value\n",
        "a: b\n  c\n\n  d\n",
    ],
)
def test_values_are_what_safe_load_makes_of_them(text: str) -> None:
    node = parse(text)
    assert node is not None
    assert construct(node) == yaml.safe_load(text)


def test_what_only_the_other_parser_of_pyyaml_takes_is_taken() -> None:
    text = "command: |\n  \tpython train.py\n"
    with pytest.raises(yaml.YAMLError):
        yaml.load(text, Loader=yaml.CSafeLoader)
    assert construct(mapping(text)) == yaml.safe_load(text) == {"command": "\tpython train.py\n"}


def test_entries_keep_merged_keys_first_and_tell_repetitions() -> None:
    found = entries(mapping("base: &b {x: 1, y: 2}\none: 1\n<<: *b\nx: 3\none: 2\n"))
    assert [(name, text_of(entry.value)) for name, entry in found.items() if name != "base"] == [
        ("x", "3"),
        ("y", "2"),
        ("one", "2"),
    ]
    assert found["x"].repeats is None
    repeated = found["one"].repeats
    assert repeated is not None
    assert repeated.line == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: *b", "has no anchor"),
        ("a: &a [*a]", "inside of what it names"),
        ("a: 1\n---\nb: 2", "more than one YAML document"),
        ("a: !!python/name:os.system x", "is not allowed"),
        ("[" * 1000, "nested more than 100 levels"),
        ('"\\0"', "stands for no character"),
        ("a:\n\tb: 1", "cannot start any token"),
        ("a: 'b", "end of stream"),
        ("a: \x01", "control characters"),
    ],
)
def test_refusals(text: str, words: str) -> None:
    with pytest.raises(YamlError, match=words):
        parse(text)


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(YamlError, match="aliases stand for more text"):
        parse("\n".join(lines))


def test_values_that_pyyaml_refuses_are_told_with_their_place() -> None:
    node = mapping("a: 1\nb: 2024-99-99\n").pairs[1][1]
    with pytest.raises(YamlError, match="month must be in") as caught:
        construct(node)
    assert caught.value.position == Position(line=2, column=4)


def test_bytes_that_are_no_text_are_told_with_their_place() -> None:
    with pytest.raises(YamlError, match="0xe9") as caught:
        decode(b"a: 1\nb: caf\xe9\n")
    assert caught.value.position == Position(line=2, column=7)


def test_lines_are_counted_as_yaml_counts_them() -> None:
    assert split_lines("a\r\nb\rc\nd\x85e\u2028f") == ["a", "b", "c", "d", "e", "f"]
    assert split_lines("a\x0bb\x0cc") == ["a\x0bb\x0cc"]
