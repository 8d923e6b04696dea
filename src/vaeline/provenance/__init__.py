"""Lineage of models and data sets, and the verification of what a model's version claims."""
