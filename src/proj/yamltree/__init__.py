"""YAML text -> a tree of nodes that know where they stand; bounded, so that no input can exhaust anything.

MLflow reads project files by `yaml.safe_load`, so what a value means is PyYAML's business (YAML 1.1), and
this package takes PyYAML's events and its constructor for values. It adds what `safe_load` cannot give:
positions, duplicate keys, and limits on size, depth and alias expansion.
"""

from __future__ import annotations

from proj.yamltree.meaning import construct, entries, is_null, is_text, tag_of, text_of
from proj.yamltree.nodes import Entry, Mapping, Node, Scalar, Sequence, YamlError
from proj.yamltree.parser import MAX_BYTES, decode, parse, split_lines

__all__ = [
    "MAX_BYTES",
    "Entry",
    "Mapping",
    "Node",
    "Scalar",
    "Sequence",
    "YamlError",
    "construct",
    "decode",
    "entries",
    "is_null",
    "is_text",
    "parse",
    "split_lines",
    "tag_of",
    "text_of",
]
