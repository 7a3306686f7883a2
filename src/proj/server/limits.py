"""What MLflow accepts as names and values, and how much at once (`mlflow/utils/validation.py`)."""

from __future__ import annotations

import posixpath
import re
import urllib.parse
from typing import TYPE_CHECKING

from proj.wire.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence, Sized

    from proj.model import Metric
    from proj.wire.entities import KeyValue, MetricIn

MAX_KEY = 250
MAX_PARAM_VALUE = 6000
MAX_TAG_VALUE = 8000
MAX_EXPERIMENT_NAME = 500
MAX_EXPERIMENT_TAG_VALUE = 20_000
MAX_BATCH_METRICS = 1000
MAX_BATCH_PARAMS = 100
MAX_BATCH_TAGS = 100
MAX_BATCH_ENTITIES = 1000
MAX_SEARCH_RESULTS = 50_000
_MAX_READINGS = 10
_NAME = re.compile(r"[/\w.\- :]*")


def check_key(key: str, path: str = "key") -> None:
    """Check the name of a metric, a parameter or a tag.

    Raises:
        ApiError: It is too long, has other characters than MLflow's, or would be another path as a file.
    """
    if not _NAME.fullmatch(key):
        raise invalid(
            f"Invalid value {key!r} for parameter '{path}' supplied: Names may only contain alphanumerics, "
            "underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/)."
        )
    check_path(key, path)
    check_length(key, MAX_KEY, path)


def check_path(name: str, path: str) -> None:
    """Check that a name stays the same as the name of a file.

    Raises:
        ApiError: It would not.
    """
    normal = posixpath.normpath(name)
    if normal != name or normal == "." or normal.startswith(("..", "/")):
        raise invalid(
            f"Invalid value {name!r} for parameter '{path}' supplied: Names may be treated as files in "
            "certain cases, and must not resolve to other names when treated as such. "
            f"This name would resolve to {normal!r}"
        )


def readings(path: str) -> Iterator[str]:
    """Yield a path as it is, and as those read it who unquote it, once or several times.

    Raises:
        ApiError: There is no end to it. Each reading takes the time that the path is long.
    """
    for _ in range(_MAX_READINGS):
        yield path
        unquoted = urllib.parse.unquote(path)
        if unquoted == path:
            return
        path = unquoted
    raise invalid("Invalid path: it is quoted too many times over.")


def check_length(text: str, limit: int, path: str) -> None:
    """Check a text's length.

    Raises:
        ApiError: It is too long.
    """
    if len(text) > limit:
        raise invalid(f"'{path}' exceeds the maximum length of {limit} characters")


def params(given: Sequence[KeyValue], path: str = "params") -> dict[str, str]:
    """Return parameters by name; values that are too long lose their end, as with MLflow's server.

    Raises:
        ApiError: A name is not acceptable, or given twice.
    """
    found: dict[str, str] = {}
    for number, item in enumerate(given):
        check_key(item.key, f"{path}[{number}].key")
        if item.key in found:
            raise invalid(
                f"Duplicate parameter keys have been submitted: ['{item.key}']. Please ensure the request "
                "contains only one param value per param key."
            )
        found[item.key] = item.value[:MAX_PARAM_VALUE]
    return found


def tags(given: Iterable[KeyValue], path: str = "tags", limit: int = MAX_TAG_VALUE) -> dict[str, str]:
    """Return tags by name, the last of each; values that are too long lose their end.

    Raises:
        ApiError: A name is not acceptable.
    """
    found: dict[str, str] = {}
    for number, item in enumerate(given):
        check_key(item.key, f"{path}[{number}].key")
        found[item.key] = item.value[:limit]
    return found


def metrics(given: Sequence[MetricIn], path: str = "metrics") -> list[Metric]:
    """Return metric points.

    Raises:
        ApiError: A name or a timestamp is not acceptable.
    """
    for key in {item.key for item in given}:
        check_key(key, f"{path}.key")
    for number, item in enumerate(given):
        if item.timestamp < 0:
            raise invalid(
                f"Invalid value {item.timestamp} for parameter '{path}[{number}].timestamp' supplied: "
                f"metric '{item.key}' (value={item.value}). Timestamp must be a nonnegative long "
                "(64-bit integer)"
            )
    return [item.to_model() for item in given]


def check_batch(metrics_: Sized, params_: Sized, tags_: Sized) -> None:
    """Check how much is logged at once.

    Raises:
        ApiError: It is too much.
    """
    total = len(metrics_) + len(params_) + len(tags_)
    for name, size, limit in (
        ("metrics", len(metrics_), MAX_BATCH_METRICS),
        ("params", len(params_), MAX_BATCH_PARAMS),
        ("tags", len(tags_), MAX_BATCH_TAGS),
        ("metrics, params, and tags", total, MAX_BATCH_ENTITIES),
    ):
        if size > limit:
            raise invalid(
                f"A batch logging request can contain at most {limit} {name}. Got {size} {name}. Please "
                f"split up {name} across multiple requests and try again."
            )


def check_results(count: int, limit: int = MAX_SEARCH_RESULTS) -> None:
    """Check the size of a page.

    Raises:
        ApiError: It is none, or too large.
    """
    if not 1 <= count <= limit:
        raise invalid(
            f"Invalid value {count} for parameter 'max_results' supplied. It must be a positive integer "
            f"of at most {limit}."
        )
