"""Kubernetes' quantities, as far as a quota's refusal needs them compared."""

from __future__ import annotations

import re
from decimal import Decimal

_SUFFIX = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30),
    "Ti": Decimal(2**40), "Pi": Decimal(2**50),
}  # fmt: skip
_MOST = Decimal(2**63 - 1)
"""Kubernetes takes what is more for this."""
_QUANTITY = re.compile(r"([0-9.eE+-]+?)([numkKMGTP]?i?)")
_PARTS = re.compile(r"requested: (?P<requested>.+?), used: .+?, limited: (?P<limited>.+)$")


def quantity(text: str) -> Decimal | None:
    """The number that a quantity is; None if it is none."""
    match = _QUANTITY.fullmatch(text.strip())
    if match is None or match[2] not in _SUFFIX:
        return None
    try:
        return min(Decimal(match[1]) * _SUFFIX[match[2]], _MOST)
    except ArithmeticError:  # no number, or one beyond all bounds
        return None


def in_words(amount: Decimal) -> str:
    """A number as people write it there: `2Gi`, `500m`."""
    for suffix in ("Ti", "Gi", "Mi", "Ki"):
        if amount and amount % _SUFFIX[suffix] == 0:
            return f"{amount / _SUFFIX[suffix]:f}{suffix}"
    whole = amount == amount.to_integral_value()
    return f"{amount.normalize():f}" if whole else f"{(amount * 1000).normalize():f}m"


def never_fits(said: str) -> bool:
    """Whether a quota's refusal asks for more than the quota is: waiting does not help."""
    match = _PARTS.search(said)
    if match is None:
        return False
    limited = _amounts(match["limited"])
    return any(
        name in limited and amount > limited[name] for name, amount in _amounts(match["requested"]).items()
    )


def _amounts(text: str) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        amount = quantity(value)
        if amount is not None:
            found[name] = amount
    return found
