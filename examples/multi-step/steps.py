"""The three steps; each keeps what it makes in the folder of its run."""

import csv
import json
import math
import os
import random
import sys
from pathlib import Path

OUT = Path(os.environ["PROJ_ARTIFACTS"])


def make_data(points):
    """Write noisy points of a sine wave."""
    random.seed(0)
    with open(OUT / "data.csv", "w", newline="") as file:
        writer = csv.writer(file)
        for i in range(int(points)):
            x = 2 * i / int(points) - 1
            writer.writerow([x, math.sin(3 * x) + random.gauss(0, 0.1)])


def train(data, degree):
    """Fit a polynomial: solve the normal equations by elimination."""
    size = int(degree) + 1
    points = read(data)
    rows = [
        [sum(x ** (i + j) for x, _ in points) for j in range(size)] + [sum(y * x**i for x, y in points)]
        for i in range(size)
    ]
    for i in range(size):
        for j in range(size):
            if i != j:
                factor = rows[j][i] / rows[i][i]
                rows[j] = [b - factor * a for a, b in zip(rows[i], rows[j])]
    coefficients = [rows[i][size] / rows[i][i] for i in range(size)]
    (OUT / "model.json").write_text(json.dumps(coefficients))


def evaluate(data, model):
    """Print how far the polynomial is from the points."""
    coefficients = json.loads(Path(model).read_text())
    errors = [y - sum(c * x**i for i, c in enumerate(coefficients)) for x, y in read(data)]
    print(f"rmse: {math.sqrt(sum(error**2 for error in errors) / len(errors)):.4f}")


def read(data):
    with open(data, newline="") as file:
        return [(float(x), float(y)) for x, y in csv.reader(file)]


{"make_data": make_data, "train": train, "evaluate": evaluate}[sys.argv[1]](*sys.argv[2:])
