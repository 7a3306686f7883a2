"""Kubernetes: what is said to its API server and what it answers, as frozen values."""
