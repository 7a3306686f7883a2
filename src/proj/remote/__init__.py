"""Records that a tracking server keeps, ours or MLflow's: a client, and a journal for when it is away."""
