"""The groups of metrics that `evaluate` measures, one for each topic."""

from dataclasses import replace
from importlib import import_module

from vaeline.evaluation.group import Group, Inputs
from vaeline.evaluation.subject import Measured
from vaeline.topics import TOPICS


def all_groups() -> list[Group]:
    """The groups of all topics, in the order in which they are measured."""
    return [import_module(f"vaeline.{topic}.measure").GROUP for topic in TOPICS]


def measure_groups(inputs: Inputs) -> dict[str, Measured]:
    """The measured groups by name. Groups that do not apply to the model or its data are left out."""
    measured: dict[str, Measured] = {}
    for group in all_groups():
        if group.applies(inputs.subject):
            measured[group.name] = group.measure(replace(inputs, earlier=measured))
    return measured
