"""Search a grid: a run below this one for each strength, and the best model in this one."""

import argparse

import mlflow
from mlflow.models import infer_signature
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score

import data

parser = argparse.ArgumentParser()
parser.add_argument("--alphas", required=True)
args = parser.parse_args()

X_train, _, y_train, _ = data.load()
best_alpha, best_rmse = None, float("inf")

with mlflow.start_run():
    for step, alpha in enumerate(map(float, args.alphas.split())):
        with mlflow.start_run(run_name=f"alpha {alpha}", nested=True):
            mlflow.log_param("alpha", alpha)
            scores = cross_val_score(
                Ridge(alpha=alpha), X_train, y_train, cv=5, scoring="neg_root_mean_squared_error"
            )
            for fold, score in enumerate(scores):
                mlflow.log_metric("fold_rmse", -score, step=fold)
            rmse = -scores.mean()
            mlflow.log_metric("rmse", rmse)
        mlflow.log_metric("tried_rmse", rmse, step=step)
        if rmse < best_rmse:
            best_alpha, best_rmse = alpha, rmse

    model = Ridge(alpha=best_alpha).fit(X_train, y_train)
    mlflow.log_param("best_alpha", best_alpha)
    mlflow.log_metric("rmse", best_rmse)
    mlflow.sklearn.log_model(model, "model", signature=infer_signature(X_train, y_train))
