from __future__ import annotations

from proj.cli.output import plain_table
from proj.cli.runs import RunSummary, summary
from proj.cli.runtable import runs_table
from records import record_run

WIDE = 500


def make_runs() -> tuple[RunSummary, ...]:
    return tuple(
        summary(
            record_run(
                f"run-{number}",
                params={"alpha": str(number), "same": "constant", "path": "/x" * 100},
                metrics={"loss": number / 3, "still": 1.0},
                tags={"mlflow.project.entryPoint": "main"},
            ),
            {},
        )
        for number in range(3)
    )


def test_a_table_fits_its_width() -> None:
    runs = make_runs()
    for width in range(60, WIDE, 7):
        table, _ = runs_table(runs, width)
        assert max(map(len, plain_table(table))) <= width


def test_what_differs_comes_before_what_is_the_same() -> None:
    runs = make_runs()
    narrow, left_out = runs_table(runs, 75)
    assert "metrics.loss" in narrow.columns
    assert "metrics.still" not in narrow.columns
    assert {"metrics.still", "params.same", "params.path"} <= set(left_out)
    wide, nothing = runs_table(runs, WIDE)
    assert {"metrics.still", "params.same", "params.path", "ENTRY POINT"} <= set(wide.columns)
    assert nothing == ()


def test_what_was_asked_for_comes_first() -> None:
    table, _ = runs_table(make_runs(), 75, wanted=("metrics.still",))
    assert "metrics.still" in table.columns


def test_ids_are_as_long_as_it_takes_to_tell_runs_apart() -> None:
    first, second, *_ = make_runs()
    twins = [
        RunSummary(**{name: getattr(run, name) for name in run.__struct_fields__} | {"run_id": run_id})
        for run, run_id in ((first, "a" * 10 + "b" * 22), (second, "a" * 10 + "c" * 22))
    ]
    table, _ = runs_table(tuple(twins), WIDE)
    assert [row[0] for row in table.rows] == ["a" * 10 + "b", "a" * 10 + "c"]


def test_where_runs_come_from_is_shown_before_what_they_measured() -> None:
    runs = tuple(
        summary(
            record_run(
                f"run-{name}",
                experiment=name,
                metrics={f"metric_{name}_{number}": 0.123456 for number in range(9)},
                tags={"mlflow.project.entryPoint": "main", "mlflow.source.git.commit": "c0ffee" * 6},
            ),
            {},
        )
        for name in ("wine", "beer")
    )
    table, _ = runs_table(runs, 110)
    assert {"EXPERIMENT", "ENTRY POINT", "COMMIT"} <= set(table.columns)
    assert max(map(len, plain_table(table))) <= 110


def test_the_column_that_runs_are_sorted_by_is_always_there() -> None:
    run = summary(record_run("a" * 40, metrics={"m" * 30: 1}, tags={"team": "red"}), {})
    table, _ = runs_table((run,), 40, wanted=(f"metrics.{'m' * 30}", "tags.team", "start_time"))
    assert "STARTED" in table.columns
    assert "tags.team" in table.columns
    assert any(column.startswith("metrics.mmm") for column in table.columns)
