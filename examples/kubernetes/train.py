"""Halve a loss, step by step."""

import argparse
import json

import six

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int)
parser.add_argument("--rate", type=float)
options = parser.parse_args()

history = []
loss = 1.0
for step in six.moves.range(options.steps):
    loss *= 1 - options.rate
    history.append(loss)
    print(f"loss: {loss:.6f} (step {step})", flush=True)
with open("history.json", "w") as file:
    json.dump(history, file)
