from __future__ import annotations

import pytest

from proj.cli.diff import DiffText
from proj.cli.difftext import column_widths, diff_blocks, markdown_lines
from proj.cli.output import Block, Table, plain_table
from proj.compare import Row, RunName, Status

LONG = ", ".join(f"folder/file-{n}.py" for n in range(20))
ROWS = (
    Row(
        group="code", item="uncommitted", status=Status.DIFFERENT, left=LONG, right=f"{LONG}, z.py",
        reason="in one of the runs only: z.py",
    ),
    Row(
        group="inputs", item="data", status=Status.NOT_COMPARABLE, left="a.csv", right="b.csv",
        reason="larger than 1 GiB or 10,000 files, together with the inputs before it",
    ),
    Row(group="metrics", item="loss", status=Status.DIFFERENT, left="0.5", right="0.75"),
)  # fmt: skip


def result() -> DiffText:
    name = RunName(run_id="a" * 32, name="one")
    return DiffText(
        left=name, right=name, different=True, rows=ROWS, code=None, artifacts=(), notes=(), ignored=()
    )


def lines(block: Block) -> list[str]:
    return plain_table(block) if isinstance(block, Table) else [str(block)]


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_tables_fit_and_say_what_is_to_be_said(width: int) -> None:
    tables = [
        block for block in diff_blocks(result(), show_all=False, width=width) if isinstance(block, Table)
    ]
    assert max(len(line) for table in tables for line in plain_table(table)) <= width
    text = "\n".join(
        line for block in diff_blocks(result(), show_all=False, width=width) for line in lines(block)
    )
    assert "\nuncommitted: in one of the runs only: z.py\n" in text
    assert "\ndata  a.csv  b.csv  not comparable\n" in text.replace("    ", "  ")
    assert "\ndata: larger than 1 GiB" in text
    assert "+0.25 (+50.00%)" in text


def test_a_page_holds_reasons_in_the_rows() -> None:
    page = list(markdown_lines(result()))
    (line,) = (line for line in page if line.startswith("| inputs |"))
    assert line.endswith(f"| not comparable; {ROWS[1].reason} |")


@pytest.mark.parametrize(
    ("needs", "room", "widths"),
    [
        ((10, 10), 80, (10, 10)),
        ((200, 10), 80, (46, 10)),
        ((10, 200), 80, (10, 33)),
        ((200, 200), 80, (30, 23)),
        ((200, 200), 20, (10, 10)),
    ],
)
def test_the_room_is_shared(needs: tuple[int, int], room: int, widths: tuple[int, int]) -> None:
    assert column_widths(*needs, room) == widths
