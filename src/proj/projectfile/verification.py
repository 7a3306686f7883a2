"""What stands under `proj: {verify: …}`: what may differ between runs that count as the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.model import Tolerance, Verification
from proj.projectfile import keys
from proj.yamltree import is_null

if TYPE_CHECKING:
    from proj.projectfile.reader import Reader
    from proj.yamltree import Entry


def read_verification(reader: Reader, entry: Entry) -> Verification:
    """Read `verify`; what is wrong goes among the reader's findings."""
    if is_null(entry.value):
        return Verification()
    fields = reader.fields(
        entry.value, keys.VERIFY, "`verify` of `proj`", "Write `verify: {ignore: [plots/*], rtol: 1e-6}`."
    )
    if fields is None:
        return Verification()
    ignore = fields.get("ignore")
    tolerance = _tolerance(reader, fields, "`verify`")
    return Verification(
        ignore=reader.texts(ignore.value, "`ignore` of `verify`") if ignore is not None else (),
        rtol=tolerance.rtol,
        atol=tolerance.atol,
        metrics=_metrics(reader, fields.get("metrics")),
    )


def _metrics(reader: Reader, entry: Entry | None) -> dict[str, Tolerance]:
    if entry is None or is_null(entry.value):
        return {}
    named = reader.mapping(entry.value, "`metrics` of `verify`", "Write `metrics: {loss: {rtol: 1e-4}}`.")
    found: dict[str, Tolerance] = {}
    for name, each in (named or {}).items():
        fields = reader.fields(each.value, keys.METRIC, f"metric `{name}`", "Write `{rtol: 1e-4}`.")
        if fields is None:
            continue
        tolerance = _tolerance(reader, fields, f"metric `{name}`")
        ignore = fields.get("ignore")
        ignored = reader.boolean(ignore.value, f"`ignore` of metric `{name}`") if ignore is not None else None
        found[name] = Tolerance(rtol=tolerance.rtol, atol=tolerance.atol, ignore=bool(ignored))
    return found


def _tolerance(reader: Reader, fields: dict[str, Entry], what: str) -> Tolerance:
    values: dict[str, float | None] = {}
    for name in keys.TOLERANCE:
        entry = fields.get(name)
        value = reader.number(entry.value, f"`{name}` of {what}") if entry is not None else None
        # "not at least": NaN is no tolerance either
        if entry is not None and value is not None and not value >= 0:
            reader.findings.error(
                "tolerance", f"`{name}` of {what} must be at least 0, not {value:g}", entry.value.position
            )
            value = None
        values[name] = value
    return Tolerance(rtol=values["rtol"], atol=values["atol"])
