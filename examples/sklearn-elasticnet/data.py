"""The data: 442 patients, ten measurements each, and how their diabetes had progressed after a year."""

from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split


def load():
    """Return X_train, X_test, y_train, y_test; the same split every time."""
    X, y = load_diabetes(return_X_y=True, scaled=False)
    return train_test_split(X, y, test_size=0.25, random_state=42)
