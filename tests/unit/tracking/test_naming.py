from __future__ import annotations

import re
import uuid

from proj.tracking.naming import new_run_id, new_run_name


def test_ids_are_random_uuids() -> None:
    ids = {new_run_id() for _ in range(1000)}
    assert len(ids) == 1000
    for text in ids:
        assert re.fullmatch("[0-9a-f]{32}", text)
        parsed = uuid.UUID(hex=text)
        assert parsed.version == 4
        assert parsed.variant == uuid.RFC_4122


def test_names_can_be_typed_and_rarely_meet() -> None:
    names = {new_run_name() for _ in range(1000)}
    assert len(names) > 990
    assert all(re.fullmatch(r"[a-z]+-[a-z]+-\d{1,3}", name) for name in names)
