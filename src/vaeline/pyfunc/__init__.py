"""The registered form of a model: an MLflow pyfunc, its answers, its golden outputs, and a clean process to test it."""
