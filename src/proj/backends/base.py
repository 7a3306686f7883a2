"""The interface of a backend: where a command runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from proj.model import Execution, Outcome, Reach, Runtime

    MetricSink = Callable[[str, float, int], None]
    """Takes key, value, step of a metric that was read from the program's stdout."""


class Handle(Protocol):
    """An execution under way.

    One that goes on without this process has some members more. A property `ended` says whether the execution
    has ended, so that `wait` returns at once. A method `forget` is called when its outcome is recorded: what
    the execution leaves where it ran may go then. A method `read_metrics(on_metric)` (None: none are to be
    read), of one found again, has `on_metric` told of all metrics that the program prints, those of the
    beginning too; it is called before `wait`.
    """

    @property
    def reference(self) -> str:
        """What `Backend.attach` needs to find the execution again, as one line of text without secrets."""

    def wait(self) -> Outcome:
        """Follow the execution to its end, passing its output on and storing it; idempotent.

        Never raises for anything the program does. When `proj.process.Interrupted` (INT, TERM, HUP of this
        process) arrives, the execution is stopped (INT, TERM, KILL with `grace_s` between) before the
        outcome, KILLED with `cancelled`, is returned.
        """

    def cancel(self) -> None:
        """Ask the execution to stop, from any thread; `wait` then returns KILLED with `cancelled`."""


class Backend(Protocol):
    """Runs executions in one kind of place. Instances are stateless and cheap to construct.

    A backend whose attribute `makes_environment` is True gets the project as it is (`Execution.origin`) and
    makes its environment by itself; without that attribute it gets a prepared runtime.

    An attribute `target` says where environments for it are needed: `host` (without it), `engine` for images
    in this machine's container engine, `cluster` for what a cluster can get by itself. For the latter two,
    commands and values are those of a container: the code is at `Execution.code`, inputs at its `mounts`.

    Some more methods are optional. `configure(config, project, image)` returns the backend's settings with
    those of the project file, and what follows from them for the image. `foretell(execution)` returns a
    reference by which `attach` finds what `submit` is about to start, should this process be killed before it
    has returned. `parcel(execution, folder)` packs code that is too large to go along: it is kept among the
    run's artifacts, and named in the execution. `observe(execution, reference)`, of backends whose executions
    are found from every machine, is `attach` for those who only look on: it changes nothing unless told to.
    `image_that_ran(record_dir)`, of backends that leave it to another place which image a name means, tells
    what ran once an execution has ended (`RanImage`, or None where nobody knows), from what it left there.
    """

    def accepts(self, runtime: type[Runtime]) -> str | None:
        """None if this backend can run that kind of runtime, else a sentence: what to do instead."""

    def submit(self, execution: Execution, on_metric: MetricSink | None = None) -> Handle:
        """Start the execution and return at once.

        Raises:
            BackendError: It cannot be started at all; nothing is left behind.
        """

    def attach(self, execution: Execution, reference: str) -> Handle | None:
        """Find an execution again whose client died; None if it died with its client, or never began.

        `execution` has empty `variables`.

        Raises:
            BackendError: Nobody can tell now; the run is left as it is, for the next command to ask again.
        """

    def reach(self, execution: Execution) -> Reach | None:
        """How the command will get to a server that listens on this machine, before it is submitted.

        None: there is no way that this backend knows of.

        Raises:
            BackendError: The place to run cannot be asked.
        """
