"""MLflow's REST protocol over the records: the application, its handlers, and the endpoint of a run."""
