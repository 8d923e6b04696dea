"""What a verdict depends on, apart from models and data: the thresholds, and how scores are computed."""

import hashlib
from typing import Any

from vaeline.artifacts import canonical_json
from vaeline.errors import VaelineError
from vaeline.outputs import CLASSIFIER, PREPARED, VALIDATION
from vaeline.params.evaluate import EvaluateParams
from vaeline.params.gate import GateParams, SetGateParams
from vaeline.params.whole import Params

SUPERIOR = "superior"
READ_OUTPUTS = (PREPARED, CLASSIFIER, VALIDATION)  # the outputs of the pipeline that the gate reads from disk
EXIT_STATUS = {"pass": 0, "inconclusive": 3, "fail": 4}  # of `vaeline gate`, by the verdict


def require_thresholds(gate: GateParams) -> SetGateParams:
    """The parameters of the gate with every threshold. Raises VaelineError if one is not set."""
    if gate.unset:
        raise VaelineError(f"the gate does not run without thresholds; set {', '.join(gate.unset)} in params.yaml")
    return SetGateParams.model_validate(gate.model_dump())


def least_gain(gate: SetGateParams) -> float:
    """The gain that the lower bound must exceed: `min_gain` to be superior, −`margin` to be non-inferior."""
    return gate.min_gain if gate.mode == SUPERIOR else -gate.margin


def evaluation_settings(params: Params) -> EvaluateParams:
    """The parameters of the stage `evaluate`, with the gate's own number of images and samples of the NLL."""
    gate = params.gate
    return params.evaluate.model_copy(update={"nll_images": gate.nll_images, "nll_samples": gate.nll_samples})


def policy(params: Params) -> dict[str, Any]:
    """All parameters that a verdict depends on."""
    return {"gate": params.gate.model_dump(), "evaluate": evaluation_settings(params).model_dump()}


def content_digest(content: dict[str, Any]) -> str:
    """SHA-256 of plain values as canonical JSON."""
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()
