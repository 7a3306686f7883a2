"""Check a logged model against a threshold; the exit code tells whether it passed."""

import argparse
import sys

import mlflow
from sklearn.metrics import mean_squared_error

import data

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--threshold", type=float, required=True)
args = parser.parse_args()

_, X_test, _, y_test = data.load()

with mlflow.start_run():
    model = mlflow.pyfunc.load_model(args.model)
    rmse = mean_squared_error(y_test, model.predict(X_test)) ** 0.5
    mlflow.log_metric("rmse", rmse)
    mlflow.set_tag("passed", rmse <= args.threshold)

if rmse > args.threshold:
    sys.exit(f"The model is not good enough: rmse {rmse:.2f} is above {args.threshold}.")
