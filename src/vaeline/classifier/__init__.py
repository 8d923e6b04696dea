"""The classifier whose features are used to measure samples."""
