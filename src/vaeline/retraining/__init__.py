"""Keeping a champion fresh: is a retraining due, and what becomes of it."""
