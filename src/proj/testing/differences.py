"""How a store says which tests of a contract do not apply to it, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping


class Contract:
    """Base of contract suites.

    A suite for a store that cannot do everything names the tests that do not apply::

        class TestMyStore(LoggedModelContract):
            differences = {"test_the_message_of_a_status_is_kept": "it keeps no messages"}
    """

    differences: ClassVar[Mapping[str, str]] = {}
    """A test, `test_x` or one case of it, `test_x[case]` -> why it is skipped."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        unknown = [name for name in cls.differences if not hasattr(cls, name.partition("[")[0])]
        if unknown:
            raise TypeError(
                f"{cls.__name__}.differences names tests that there are not: {', '.join(unknown)}"
            )

    @pytest.fixture(autouse=True)
    def _skip_what_differs(self, request: pytest.FixtureRequest) -> None:
        name: str = request.node.name
        reason = self.differences.get(name) or self.differences.get(name.partition("[")[0])
        if reason:
            pytest.skip(reason)
