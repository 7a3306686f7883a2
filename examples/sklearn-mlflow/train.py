"""Fit a ridge regression, log its metrics and the model."""

import argparse

import mlflow
from mlflow.models import infer_signature
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error, r2_score

import data

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float, required=True)
args = parser.parse_args()

X_train, X_test, y_train, y_test = data.load()

# `proj run` made a run for this program: it is the one that is started here.
with mlflow.start_run():
    mlflow.log_param("alpha", args.alpha)
    model = Ridge(alpha=args.alpha).fit(X_train, y_train)
    predicted = model.predict(X_test)
    mlflow.log_metric("rmse", mean_squared_error(y_test, predicted) ** 0.5)
    mlflow.log_metric("r2", r2_score(y_test, predicted))
    mlflow.sklearn.log_model(model, "model", signature=infer_signature(X_train, predicted))
