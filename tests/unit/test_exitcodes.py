from __future__ import annotations

import pytest

from proj.errors import FailureCode
from proj.exitcodes import exit_code
from proj.model import Outcome, RunStatus


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome(status=RunStatus.FINISHED, exit_code=0), 0),
        (Outcome(status=RunStatus.FAILED, failure=FailureCode.USER_EXIT, exit_code=7), 7),
        (Outcome(status=RunStatus.FAILED, failure=FailureCode.SIGNAL, signal="SIGSEGV"), 139),
        (Outcome(status=RunStatus.FAILED, failure=FailureCode.OOM_KILLED, signal="SIGKILL"), 137),
        (Outcome(status=RunStatus.FAILED, failure=FailureCode.DEADLINE, signal="SIGTERM"), 124),
        (Outcome(status=RunStatus.KILLED, failure=FailureCode.CANCELLED, signal="SIGINT"), 130),
        (Outcome(status=RunStatus.KILLED, failure=FailureCode.CANCELLED, signal="SIGTERM"), 143),
        (Outcome(status=RunStatus.KILLED, failure=FailureCode.CANCELLED), 130),
        (Outcome(status=RunStatus.KILLED, failure=FailureCode.LOST), 125),
        (Outcome(status=RunStatus.FAILED, failure=FailureCode.ENV_FAILED), 125),
    ],
)
def test_each_outcome_has_its_exit_code(outcome: Outcome, code: int) -> None:
    assert exit_code(outcome) == code
