"""Run three entry points in turn; a step that was made of the same before is skipped."""

import sys
from pathlib import Path

import proj

HERE = Path(__file__).parent


def step(entry_point, **parameters):
    """Return the finished run of a step: an earlier one that was made of the same, else a new one."""
    run = proj.run(str(HERE), entry_point, parameters=parameters, reuse=True, quiet=True)
    print(f"{entry_point}  {run.run_id}")
    return run


points, degree = sys.argv[1:]
data = step("make_data", points=points).artifacts / "data.csv"
model = step("train", data=data, degree=degree).artifacts / "model.json"
evaluated = step("evaluate", data=data, model=model)
print(f"rmse: {evaluated.metrics['rmse'].value}")
