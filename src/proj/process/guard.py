"""Nothing that we started outlives us, not even after `kill -9`.

A tiny shell, the watchdog, reads a pipe whose other end only this process holds. It is told each process
group that begins and ends, and a farewell on a normal exit. When the pipe ends without one, this process
was killed: the watchdog kills the groups, then (on Linux) every process whose variables carry our token, so
also those that moved to a session of their own. The token is in `PROJ_GUARD`, a list joined by colons: a
`proj` inside a run adds its own behind the one it inherited, so the end of the outer one ends all. A
process that is to live on is started without that variable.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess  # noqa: TID251  this package is the one that may
import sys
import threading

VARIABLE = "PROJ_GUARD"

_WATCHDOG = r"""
trap '' HUP INT QUIT TERM
groups=
while IFS= read -r line; do
  case $line in
    +*) groups="$groups ${line#+}" ;;
    -*) kept=
        for group in $groups; do [ "$group" = "${line#-}" ] || kept="$kept $group"; done
        groups=$kept ;;
    bye) exit 0 ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group"; done
[ -r /proc/self/environ ] || exit 0
carries() {
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in *"$token"*) return 0 ;; esac
  done < "$1"
  return 1
}
marked() {
  if printf 'a\0b' | grep -qaF b; then
    grep -laF -e "$token" /proc/[0-9]*/environ
  else
    for file in /proc/[0-9]*/environ; do if carries "$file"; then echo "$file"; fi; done
  fi
}
rounds=0
while [ $rounds -lt 50 ]; do
  found=$(marked)
  [ -n "$found" ] || exit 0
  for file in $found; do pid=${file#/proc/}; kill -s KILL "${pid%/environ}"; done
  rounds=$((rounds + 1))
  sleep 0.02
done
"""
"""`grep` reads all of /proc in milliseconds; where it cannot read binary files the shell does it, slowly.

Killed processes may have had time to start others, hence the rounds. The token is a shell variable that is
not exported, so the watchdog and its `grep` are not found themselves.
"""


class _Watchdog:
    """The shell, and our end of its pipe."""

    def __init__(self) -> None:
        self.token = new_token()
        read_fd, self._write_fd = os.pipe()
        with open(read_fd, "rb") as stdin:  # noqa: PTH123  a descriptor is no path
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", f"token={self.token}\n{_WATCHDOG}"],
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"PATH": os.environ.get("PATH", os.defpath)},
                cwd="/",
                start_new_session=True,
            )

    def tell(self, line: str) -> None:
        with contextlib.suppress(OSError):  # somebody ended the watchdog: that is not ours to mend
            os.write(self._write_fd, line.encode() + b"\n")

    def farewell(self) -> None:
        """Let it end without doing anything."""
        self.tell("bye")
        self.abandon()

    def abandon(self) -> None:
        """Give our end up, without a word."""
        with contextlib.suppress(OSError):
            os.close(self._write_fd)
        self._process.returncode = 0  # nobody waits for it, so `Popen` must not warn that nobody did


class _Guard:
    """The process's one watchdog, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watchdog: _Watchdog | None = None

    def watchdog(self) -> _Watchdog:
        if self._watchdog is None:
            with self._lock:
                if self._watchdog is None:
                    self._watchdog = _Watchdog()
        return self._watchdog

    def farewell(self) -> None:
        if self._watchdog is not None:
            self._watchdog.farewell()
            self._watchdog = None

    def forget(self) -> None:
        """In a forked child: the watchdog is the parent's, and must not wait for the child's end too."""
        self._lock = threading.Lock()
        if self._watchdog is not None:
            self._watchdog.abandon()
            self._watchdog = None


_guard = _Guard()
atexit.register(_guard.farewell)
os.register_at_fork(after_in_child=_guard.forget)


def new_token() -> str:
    """Return a word that no other process's variables hold by chance."""
    return os.urandom(16).hex()


def guard_environment(*tokens: str) -> dict[str, str]:
    """Return the variables that tie a process and its descendants to the life of this one.

    Pass them to every process that is started, whoever starts it.

    Args:
        tokens: Further words by which `marked_processes` will find the process again.
    """
    watchdog = _guard.watchdog()
    outer = os.environ.get(VARIABLE)
    return {VARIABLE: ":".join(filter(None, (outer, watchdog.token, *tokens)))}


def watch_group(group: int) -> None:
    """Have the process group killed if this process is."""
    _guard.watchdog().tell(f"+{group}")


def release_group(group: int) -> None:
    """Say that a group has ended. To be called before its leader is reaped, since its number is free then."""
    _guard.watchdog().tell(f"-{group}")


def marked_processes(token: str) -> tuple[int, ...]:
    """Return the processes that carry `token`, wherever they have moved; Linux only, elsewhere none."""
    if sys.platform != "linux":
        return ()
    wanted = token.encode()
    found: list[int] = []
    for name in os.listdir("/proc"):  # noqa: PTH208  hundreds of entries: Path costs more than reading
        if name.isdecimal():
            path = f"/proc/{name}/environ"
            with contextlib.suppress(OSError), open(path, "rb") as file:  # noqa: PTH123  see above
                if wanted in file.read():
                    found.append(int(name))
    return tuple(found)
