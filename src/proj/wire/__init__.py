"""MLflow's REST messages as typed values, and their way from and to JSON, queries and our own model.

Field names are those of `mlflow/protos/service.proto`. What a client sends beyond them is ignored.
"""
