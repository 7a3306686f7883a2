"""An elastic net by coordinate descent on data made here: the standard library is all it needs."""

import argparse
import json
import os
import random
from pathlib import Path

ROWS, FEATURES, ROUNDS = 200, 6, 100


def data(seed=0):
    draw = random.Random(seed)
    truth = [3.0, -2.0, 0.0, 0.0, 1.0, 0.0]
    rows = [[draw.gauss(0, 1) for _ in range(FEATURES)] for _ in range(ROWS)]
    targets = [sum(w * x for w, x in zip(truth, row)) + draw.gauss(0, 0.5) for row in rows]
    return rows, targets


def fit(rows, targets, alpha, l1_ratio):
    weights = [0.0] * FEATURES
    squares = [sum(row[j] ** 2 for row in rows) / len(rows) for j in range(FEATURES)]
    for _ in range(ROUNDS):
        for j in range(FEATURES):
            rest = [y - sum(w * x for k, (w, x) in enumerate(zip(weights, row)) if k != j) for row, y in zip(rows, targets)]
            slope = sum(row[j] * r for row, r in zip(rows, rest)) / len(rows)
            shrunk = max(abs(slope) - alpha * l1_ratio, 0.0)
            weights[j] = (shrunk if slope > 0 else -shrunk) / (squares[j] + alpha * (1 - l1_ratio))
    return weights


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--alpha", type=float, required=True)
    parser.add_argument("--l1-ratio", type=float, required=True)
    chosen = parser.parse_args()
    rows, targets = data()
    weights = fit(rows, targets, chosen.alpha, chosen.l1_ratio)
    errors = [y - sum(w * x for w, x in zip(weights, row)) for row, y in zip(rows, targets)]
    print(f"rmse: {(sum(e * e for e in errors) / len(errors)) ** 0.5:.6f}")
    print(f"nonzero: {sum(1 for w in weights if abs(w) > 1e-9)}")
    Path(os.environ["PROJ_ARTIFACTS"], "weights.json").write_text(json.dumps(weights))


if __name__ == "__main__":
    main()
