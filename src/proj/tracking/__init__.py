"""What is remembered: runs, experiments, artifacts."""
