from __future__ import annotations

import json

import pytest

from projkit import ProjFolder, git
from records import Command, record_run

PROJECT = """name: demo
entry_points:
  main:
    parameters: {{data: path, lr: {{type: float, default: 0.5}}}}
    command: >-
      echo loss: {{lr}}; cat {{data}} > $PROJ_ARTIFACTS/out.txt; date +%N > $PROJ_ARTIFACTS/when.log{more}
proj:
  metrics: stdout
  verify: {{ignore: ["*.log"]}}
"""


@pytest.fixture
def project(folder: ProjFolder) -> ProjFolder:
    folder.write({"MLproject": PROJECT.format(more=""), "data.txt": "1\n", ".gitignore": "*.txt\n"})
    git(folder.path, "init", "-q", "-b", "main")
    commit(folder)
    return folder


def commit(folder: ProjFolder) -> None:
    git(folder.path, "add", ".")
    git(folder.path, "commit", "-q", "--allow-empty", "-m", "more")


def ran(folder: ProjFolder, *options: str) -> str:
    done = folder.run("run", ".", "-P", "data=data.txt", *options)
    assert done.code == 0, done
    return folder.runs()[0].run_id


def differing(folder: ProjFolder, left: str, right: str, *options: str) -> dict[str, dict[str, str]]:
    data = folder.run("diff", left, right, "--json", *options).json["data"]
    return {f"{row['group']}/{row['item']}": row for row in data["rows"] if row["status"] == "different"}


def test_the_same_run_again_differs_in_nothing(project: ProjFolder) -> None:
    left, right = ran(project), ran(project)
    done = project.run("diff", left, right, "--exit-code")
    assert (done.code, "No difference" in done.stdout) == (0, True), done
    assert "Ignored: when.log." in done.stdout


def test_what_was_left_out_may_differ(project: ProjFolder) -> None:
    project.write({".env": "A=1\n"})
    left, right = ran(project), ran(project)
    done = project.run("diff", left, right, "--exit-code")
    assert (done.code, "No difference" in done.stdout) == (1, False), done
    assert "  not comparable\nleft out: content not known" in done.stdout


def test_one_parameter_makes_its_own_row_different_and_what_came_of_it(project: ProjFolder) -> None:
    left, right = ran(project), ran(project, "-P", "lr=0.75")
    assert set(differing(project, left, right)) == {"parameters/lr", "metrics/loss"}
    done = project.run("diff", left, right)
    assert done.code == 0
    assert done.stdout.index("PARAMETERS") < done.stdout.index("METRICS")
    assert "+0.25 (+50.00%)" in done.stdout
    assert project.run("diff", left, right, "--exit-code").code == 1
    assert set(differing(project, left, right, "--atol", "0.3")) == {"parameters/lr"}


def test_one_byte_of_an_input(project: ProjFolder) -> None:
    left = ran(project)
    project.write({"data.txt": "2\n"})
    assert set(differing(project, left, ran(project))) == {"inputs/data", "artifacts/out.txt"}


def test_artifacts_are_shown_line_by_line_on_demand(project: ProjFolder) -> None:
    left = ran(project)
    project.write({"data.txt": "2\n"})
    right = ran(project)
    assert "\n-1\n+2\n" in project.run("diff", left, right, "--artifacts").stdout
    assert "\n-1\n+2\n" in project.run("diff", left, right, "--artifacts", "--md").stdout
    assert "\n-1\n" not in project.run("diff", left, right).stdout
    (change,) = project.run("diff", left, right, "--artifacts", "--json").json["data"]["artifacts"]
    assert (change["path"], change["added"], change["removed"]) == ("out.txt", 1, 1)


def test_a_copy_of_the_input_elsewhere_is_the_same(project: ProjFolder) -> None:
    left = ran(project)
    project.write({"other.txt": "1\n"})
    assert project.run("run", ".", "-P", "data=other.txt").code == 0
    assert differing(project, left, "latest") == {}


def test_code_is_shown_line_by_line(project: ProjFolder) -> None:
    left = ran(project)
    project.write({"MLproject": PROJECT.format(more="; true"), "new.py": "print()\n"})
    commit(project)
    right = ran(project)
    assert set(differing(project, left, right)) == {"code/tree", "code/commit", "command/line"}
    done = project.run("diff", left, right)
    assert "M  MLproject  +1 -1" in done.stdout
    assert "\n+print()\n" in done.stdout
    (changed, added) = project.run("diff", left, right, "--json").json["data"]["code"]
    assert (changed["path"], changed["kind"], added["path"], added["kind"]) == (
        "MLproject", "changed", "new.py", "added",
    )  # fmt: skip
    stat = project.run("diff", left, right, "--stat").stdout
    assert "MLproject" in stat
    assert "+print()" not in stat


def test_uncommitted_code_is_shown_from_the_snapshot(project: ProjFolder) -> None:
    left = ran(project)
    project.write({"new.py": "print(1)\n"})
    middle = ran(project)
    project.write({"new.py": "print(2)\n"})
    right = ran(project)
    project.write({"new.py": "print(3)\n"})
    assert set(differing(project, left, middle)) == {"code/tree", "code/uncommitted"}
    assert set(differing(project, middle, right)) == {"code/tree"}
    done = project.run("diff", middle, right)
    assert "\n-print(1)\n+print(2)\n" in done.stdout
    assert "note:" not in done.stdout
    assert "A  new.py  +1 -0" in project.run("diff", left, right, "--stat").stdout
    done = project.run("diff", left, middle)
    assert "uncommitted  none" in done.stdout
    assert "uncommitted: in one of the runs only: new.py" in done.stdout


def test_a_bundle_that_is_gone_is_said(project: ProjFolder) -> None:
    left = ran(project)
    project.write({"new.py": "print(1)\n"})
    right = ran(project)
    with project.tracking() as tracking:
        tracking.artifacts.delete(tracking.runs.run(right).artifact_uri, "proj/source.bundle")
    done = project.run("diff", left, right)
    assert done.code == 0
    assert "cannot be restored: the record has no source bundle" in done.stdout


def test_a_variable_that_numbers_depend_on(project: ProjFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    left = ran(project)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert set(differing(project, left, ran(project))) == {"variables/OMP_NUM_THREADS"}


def test_markdown(project: ProjFolder) -> None:
    left, right = ran(project), ran(project, "-P", "lr=0.75")
    page = project.run("diff", left, right, "--md").stdout
    assert "| parameters | lr | 0.5 | 0.75 |  |" in page
    assert "| metrics | loss | 0.5 | 0.75 | +0.25 (+50.00%) |" in page


def test_what_is_the_same_is_shown_on_demand(project: ProjFolder) -> None:
    left, right = ran(project), ran(project)
    assert "PARAMETERS" not in project.run("diff", left, right).stdout
    assert "PARAMETERS" in project.run("diff", left, right, "--all").stdout


def test_records_of_other_clients_lack_things(proj: Command) -> None:
    one = record_run("one", params={"lr": "0.1"}, metrics={"loss": 0.5}, files={"a.txt": b"1"})
    other = record_run("other", params={"lr": "0.2"}, metrics={"loss": float("nan")}, files={"a.txt": b"2"})
    answer = proj("diff", one.run_id, other.run_id, "--json", "--exit-code")
    assert answer.exit_code == 1
    rows = {f"{row['group']}/{row['item']}": row["status"] for row in answer.data["rows"]}
    assert rows == {
        "code/tree": "not comparable",
        "parameters/lr": "different",
        "outcome/status": "same",
        "metrics/loss": "different",
        "artifacts/a.txt": "different",
    }
    assert answer.data["code"] is None
    assert answer.data["notes"] == ["the code of one is not recorded", "the code of other is not recorded"]
    assert json.dumps(answer.data["rows"]).count("logged by the program") == 1


def test_recorded_text_does_not_draw_on_the_terminal(proj: Command) -> None:
    one, other = (record_run(name, params={"x": f"{name}\x1b[31m|`"}) for name in ("one", "other"))
    for options in ([], ["--md"], ["--stat"]):
        assert "\x1b" not in proj("diff", one.run_id, other.run_id, *options).out


def test_a_run_that_is_not_there(proj: Command) -> None:
    answer = proj("diff", "0000", "1111")
    assert (answer.exit_code, answer.out) == (2, "")
    assert "There is no run '0000'" in answer.err
