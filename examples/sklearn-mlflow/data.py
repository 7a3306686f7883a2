"""The diabetes data that scikit-learn ships, always split in the same way."""

from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split


def load():
    """Return features and targets: to train with, and to test with."""
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    return train_test_split(X, y, test_size=0.25, random_state=42)
