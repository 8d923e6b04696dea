"""The groups of metrics that `evaluate` measures: one line a group, in the order in which they are measured."""

from dataclasses import replace

from vaeline.anomaly.measure import OOD
from vaeline.codes.measure import CODES
from vaeline.compression.measure import COMPRESSION
from vaeline.conditional.measure import CONDITIONAL
from vaeline.evaluation.group import Inputs
from vaeline.evaluation.subject import Measured
from vaeline.latents.measure import LATENTS
from vaeline.likelihood.measure import LIKELIHOOD
from vaeline.restoration.measure import RESTORATION
from vaeline.samples.measure import SAMPLES

GROUPS = (LIKELIHOOD, LATENTS, SAMPLES, OOD, RESTORATION, COMPRESSION, CODES, CONDITIONAL)


def measure_groups(inputs: Inputs) -> dict[str, Measured]:
    """The measured groups by name. Groups that do not apply to the model are left out."""
    measured: dict[str, Measured] = {}
    for group in GROUPS:
        if group.applies(inputs.subject.model):
            measured[group.name] = group.measure(replace(inputs, earlier=measured))
    return measured
