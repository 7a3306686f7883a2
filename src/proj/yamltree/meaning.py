"""What nodes mean: the values that `yaml.safe_load` makes of them."""

from __future__ import annotations

from typing import Final

import yaml

from proj.yamltree.nodes import STR, TAG, Entry, Mapping, Node, Scalar, Sequence, YamlError

_MERGE: Final = TAG + "merge"
_NULL: Final = TAG + "null"


def tag_of(node: Node) -> str:
    """The YAML tag that decides what a node means: written, or implied by its text."""
    if node.tag is not None:
        return node.tag
    if not isinstance(node, Scalar):
        return TAG + ("map" if isinstance(node, Mapping) else "seq")
    if node.style is not None:
        return STR
    resolvers = yaml.SafeLoader.yaml_implicit_resolvers
    for tag, pattern in resolvers.get(node.text[:1], ()):
        if pattern.match(node.text):
            return str(tag)
    return STR


def is_null(node: Node) -> bool:
    """Whether the node means null: nothing, `~`, `null`."""
    return isinstance(node, Scalar) and node.style is None and tag_of(node) == _NULL


def is_text(node: Node) -> bool:
    """Whether the node is a text for YAML (and not a number, boolean, date …)."""
    return isinstance(node, Scalar) and tag_of(node) == STR


def construct(node: Node) -> object:
    """The value that `yaml.safe_load` makes of a node.

    Raises:
        YamlError: PyYAML refuses it (a date that does not exist, a number of thousands of digits).
    """
    if isinstance(node, Scalar) and tag_of(node) == STR:
        return node.text
    try:
        constructor = yaml.constructor.SafeConstructor()
        return constructor.construct_document(_yaml_node(node, {}))
    except (yaml.YAMLError, ValueError, OverflowError, ArithmeticError) as error:
        reason = (getattr(error, "problem", None) or str(error)).rstrip(".")
        raise YamlError(
            f"YAML cannot read this value: {reason}.", node.position, "Put it in quotes."
        ) from error


def _yaml_node(node: Node, seen: dict[int, yaml.Node]) -> yaml.Node:
    known = seen.get(id(node))
    if known is not None:
        return known
    mark = yaml.Mark("", 0, node.line - 1, node.column - 1, None, 0)
    tag = tag_of(node)
    result: yaml.Node
    if isinstance(node, Mapping):
        pairs = [(_yaml_node(key, seen), _yaml_node(value, seen)) for key, value in node.pairs]
        result = yaml.MappingNode(tag, pairs, mark, mark)
    elif isinstance(node, Sequence):
        result = yaml.SequenceNode(tag, [_yaml_node(item, seen) for item in node.items], mark, mark)
    else:
        assert isinstance(node, Scalar)  # noqa: S101  there is no fourth kind
        result = yaml.ScalarNode(tag, node.text, mark, mark)
    seen[id(node)] = result
    return result


def text_of(node: Node) -> str:
    """`str()` of the value that `yaml.safe_load` makes of a node, which is what MLflow uses everywhere.

    Raises:
        YamlError: See `construct`.
    """
    if isinstance(node, Scalar) and tag_of(node) == STR:
        return node.text
    try:
        return str(construct(node))
    except ValueError as error:  # Python refuses to print an integer of thousands of digits
        raise YamlError(
            f"YAML cannot read this value: {error}.", node.position, "Put it in quotes."
        ) from error


def entries(mapping: Mapping) -> dict[str, Entry]:
    """The keys of a mapping as `yaml.safe_load` settles them: merged ones first, the last of a name wins.

    Returns:
        Key as text -> entry, in order.

    Raises:
        YamlError: A key is a list or a mapping, or a merge key has nothing to merge.
    """
    found: dict[str, Entry] = {}
    own = {id(key) for key, _ in mapping.pairs}
    for key, value in _merged(mapping):
        if not isinstance(key, Scalar):
            raise YamlError("A key must be a text, not a list or a mapping.", key.position, "Write a name.")
        name = text_of(key)
        known = found.get(name)
        if known is None:
            found[name] = Entry(key, value)
            continue
        if id(known.key) in own:  # else a key of this mapping replaces a merged one, as it should
            known.repeats = known.key
        known.key = key
        known.value = value
    return found


def _is_merge(key: Node) -> bool:
    return isinstance(key, Scalar) and key.text == "<<" and tag_of(key) == _MERGE


def _merged(mapping: Mapping) -> list[tuple[Node, Node]]:
    if not any(_is_merge(key) for key, _ in mapping.pairs):
        return mapping.pairs
    own = [pair for pair in mapping.pairs if not _is_merge(pair[0])]
    return [*_inherited(mapping), *own]


def _inherited(mapping: Mapping) -> list[tuple[Node, Node]]:
    """The pairs that merge keys bring in, in the order of PyYAML's `flatten_mapping`."""
    pairs: list[tuple[Node, Node]] = []
    for key, value in mapping.pairs:
        if not _is_merge(key):
            continue
        sources = list(reversed(value.items)) if isinstance(value, Sequence) else [value]
        for source in sources:
            if not isinstance(source, Mapping):
                raise YamlError("`<<` merges mappings only.", source.position, "Name an alias of a mapping.")
            pairs.extend(_merged(source))
    return pairs
