"""Retraining: whether one is due, and how it is carried out."""
