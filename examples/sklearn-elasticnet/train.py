"""Fit an elastic net, print its metrics, keep the model."""

import argparse
import os
from pathlib import Path

import joblib
from sklearn.linear_model import ElasticNet
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import data

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float, required=True)
parser.add_argument("--l1-ratio", type=float, required=True)
args = parser.parse_args()

X_train, X_test, y_train, y_test = data.load()
model = make_pipeline(
    StandardScaler(),
    ElasticNet(alpha=args.alpha, l1_ratio=args.l1_ratio, random_state=42),
)
model.fit(X_train, y_train)
predicted = model.predict(X_test)

# The project file says `metrics: stdout`: lines like these are recorded.
print(f"rmse: {root_mean_squared_error(y_test, predicted):.4f}")
print(f"mae: {mean_absolute_error(y_test, predicted):.4f}")
print(f"r2: {r2_score(y_test, predicted):.4f}")

# What is written to this folder is kept with the run.
joblib.dump(model, Path(os.environ.get("PROJ_ARTIFACTS", ".")) / "model.joblib")
