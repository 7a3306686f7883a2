from __future__ import annotations

import contextlib
import io
import signal
import time
import weakref
from typing import TYPE_CHECKING

import pytest

from proj import cli
from proj.cli import output
from proj.events import Event
from proj.process import Interrupted, interruptible

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from records import Command


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 60 columns, to be put in the place of stdout."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def test_no_name_in_a_project_steers_the_terminal(proj: Command, tmp_path: Path) -> None:
    (tmp_path / "MLproject").write_text(
        'entry_points:\n  "a\\e[2J": {command: "echo \\e]0;x\\a \\x9b {beta}", parameters: {alpha: int}}\n'
    )
    for argv in (
        ("run", str(tmp_path)),
        ("run", str(tmp_path), "-e", "b\x1b[1m"),
        ("run", str(tmp_path), "--help"),
        ("check", str(tmp_path)),
        ("runs", "--experiment", "\x1b[2J"),
    ):
        answer = proj(*argv)
        told = answer.out + answer.err
        assert not {character for character in told if character < " " and character not in "\n\t"}, argv
        assert "\x9b" not in told
    assert "a\\x1b[2J" in proj("run", str(tmp_path), "--help").out


def test_events_are_shown_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    with output.Watcher() as watcher:
        for kind in ("warning", "note", "status", "step"):
            watcher(Event(kind=kind, message=f"{kind} \x1b[2J\r\udc9b\tx"))
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("\\")[2] for line in lines] == ["x1b[2J\\r\\udc9b\tx"] * 4


def test_the_same_note_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    with output.Watcher() as watcher:
        for kind in ("note", "note", "warning", "note", "status", "status"):
            watcher(Event(kind=kind, message="x"))
    assert capsys.readouterr().err.splitlines() == ["note: x", "warning: x", "x", "x"]


def test_a_programs_output_gets_a_line_of_its_own(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal)
    with output.Watcher() as watcher:
        watcher(Event(kind="progress", message="waiting for a node"))
        watcher(Event(kind="output", message=""))
        drawn = terminal.getvalue()
        assert "waiting for a node" in drawn
        assert drawn.endswith("\x1b[2K"), drawn  # the moving line is gone, and so is what hid the cursor
        assert "\x1b[?25h" in drawn


def test_json_says_what_there_is(proj: Command, tmp_path: Path) -> None:
    (tmp_path / "MLproject").write_text('entry_points: {"a\\e[2J": {command: "true"}}\n')
    data = proj("run", str(tmp_path), "--help", "--json").data
    assert data["entry_points"][0]["name"] == "a\x1b[2J"


def test_on_a_terminal_only_the_last_column_is_cut(terminal: Terminal) -> None:
    table = output.Table(
        columns=("ENVIRONMENT", "LAST USED", "FROM"), rows=(("abcdefgh (orphaned)", "5m ago", "/x" * 40),)
    )
    with contextlib.redirect_stdout(terminal):
        output.write_table(table)
    header, row = terminal.getvalue().splitlines()
    assert header == "\x1b[1mENVIRONMENT          LAST USED  FROM\x1b[0m"
    assert row == "abcdefgh (orphaned)  5m ago     " + ("/x" * 40)[:27] + "…"
    assert len(row) == 60


def test_wide_characters_keep_columns_in_line() -> None:
    table = output.Table(columns=("NAME", "X"), rows=(("数据", "1"), ("ab", "2")))
    assert output.plain_table(table) == ["NAME  X", "数据  1", "ab    2"]


def test_the_words_of_a_check_are_coloured_on_a_terminal(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "MLproject").write_text("nam: x\nname: a\nname: b\n")
    with contextlib.redirect_stdout(terminal):
        assert cli.invoke(["check", str(tmp_path)]) == 2
    told = terminal.getvalue()
    assert "MLproject:1:1: \x1b[31m\x1b[1merror:\x1b[0m unknown key `nam`" in told
    assert "MLproject:3:1: \x1b[33m\x1b[1mwarning:\x1b[0m" in told


class LockAtItsEnd:
    """A lock that is interrupted just when it is to be let go of."""

    held = False

    def __enter__(self) -> None:
        self.held = True

    def __exit__(self, *_: object) -> None:
        signal.raise_signal(signal.SIGTERM)
        self.held = False


@pytest.mark.parametrize(
    "act", [lambda watcher: watcher(Event(kind="note", message="x")), output.Watcher.clear]
)
def test_an_interrupt_keeps_no_later_event_from_being_shown(act: Callable[[output.Watcher], None]) -> None:
    watcher = output.Watcher()
    lock = LockAtItsEnd()
    vars(watcher)["_lock"] = lock
    with interruptible(), pytest.raises(Interrupted):
        act(watcher)
    assert not lock.held


def test_an_interrupt_in_a_callback_that_may_not_raise_is_not_lost() -> None:
    class Referred:
        pass

    referred = Referred()
    kept = weakref.ref(referred, lambda _: signal.raise_signal(signal.SIGTERM))
    with interruptible(), pytest.raises(Interrupted):  # noqa: PT012  it comes while we wait
        del referred
        assert kept() is None
        time.sleep(30)
