from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from proj import cli
from proj.cli import output
from proj.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException]]:
    """What `proj version` is to raise."""
    errors: list[BaseException] = []

    def fail(*_: object, **__: object) -> None:
        raise errors[0]

    monkeypatch.setattr("proj.cli.version.command.callback", fail)
    yield errors
    output._state.as_json = False


def test_a_bug_is_told_as_one(raising: list[BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    raising.append(ZeroDivisionError("by zero"))
    assert cli.invoke(["version"]) == output.EXIT_BUG
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert "ZeroDivisionError: by zero" in told
    assert "defect of proj" in told
    assert cli.invoke(["version", "--json"]) == output.EXIT_BUG
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], error["message"]) == ("bug", "by zero")


def test_a_folder_that_is_gone_is_no_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert cli.invoke(["check"]) == 2
    assert "is gone" in capsys.readouterr().err


def test_an_error_has_message_details_and_hint(
    raising: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    raising.append(SourceError("No host.", hint="Look again.", details=("git said", "this")))
    assert cli.invoke(["version"]) == 125
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["proj: No host.", "  | git said", "  | this", "hint: Look again."]
    assert cli.invoke(["version", "--json"]) == 125
    envelope = json.loads(capsys.readouterr().out)
    assert (envelope["ok"], envelope["command"]) == (False, "version")
    assert envelope["error"] == {
        "code": "source_failed",
        "message": "No host.",
        "hint": "Look again.",
        "details": ["git said", "this"],
    }


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_becomes_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], signum: signal.Signals
) -> None:
    before = signal.getsignal(signum)
    monkeypatch.setattr("proj.cli.version.command.callback", lambda: signal.raise_signal(signum))
    assert cli.invoke(["version"]) == 128 + signum
    assert signum.name in capsys.readouterr().err
    assert cli.invoke(["version", "--json"]) == 128 + signum
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "cancelled"
    output._state.as_json = False
    assert signal.getsignal(signum) is before


def test_main_may_be_called_again_whatever_command_ran(capsys: pytest.CaptureFixture[str]) -> None:
    """A command's module, once imported, is an attribute of the package, beside its functions and imports."""
    for command in [*cli.COMMANDS, "run"]:
        with pytest.raises(SystemExit) as left:
            cli.main([command, "--help"])
        assert left.value.code == 0
        assert f"proj {command}" in capsys.readouterr().out
