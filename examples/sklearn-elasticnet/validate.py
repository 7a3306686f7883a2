"""Check a trained model against a threshold; the exit code tells whether it passed."""

import argparse
import sys

import joblib
from sklearn.metrics import root_mean_squared_error

import data

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--threshold", type=float, required=True)
args = parser.parse_args()

_, X_test, _, y_test = data.load()
rmse = root_mean_squared_error(y_test, joblib.load(args.model).predict(X_test))
print(f"rmse: {rmse:.4f}")
if rmse > args.threshold:
    sys.exit(f"The model is not good enough: rmse {rmse:.4f} is above {args.threshold}.")
