"""Drift: whether new images are still like the images that the champion was trained for."""
