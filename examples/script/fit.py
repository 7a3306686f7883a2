# /// script
# requires-python = ">=3.10"
# dependencies = ["tabulate==0.9.0"]
# ///
"""Fit a line through noisy points, and print how near it comes to the true one."""

import argparse
import random
import statistics

from tabulate import tabulate

parser = argparse.ArgumentParser()
parser.add_argument("--slope", type=float, default=2.0)
parser.add_argument("--noise", type=float, default=0.1)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

random.seed(args.seed)
xs = [x / 10 for x in range(100)]
ys = [args.slope * x + random.gauss(0, args.noise) for x in xs]
fitted = statistics.linear_regression(xs, ys)

rows = [("true", args.slope, 0.0), ("fitted", fitted.slope, fitted.intercept)]
print(tabulate(rows, headers=["line", "slope", "intercept"], floatfmt=".4f"))
