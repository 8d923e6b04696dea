"""Golden outputs: what a model answered in every mode when it was registered, to be asked again wherever it is served.

Keras is imported late: what only packages or reads golden outputs needs none of it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vaeline.artifacts import atomic_file
from vaeline.errors import VaelineError
from vaeline.pyfunc.model import DECIMALS, MODES, VAEModel

if TYPE_CHECKING:
    from vaeline.models.generative import GenerativeModel

GOLDEN = "golden.json"
IMAGES = 4
TOLERANCE = 1e-3
"""Absolute and relative. Machines differ by some 1e-5; another training of the same model by more than 1e-1."""


def make_golden(model: "GenerativeModel", images: np.ndarray) -> dict[str, Any]:
    """Questions of every mode about the first of `images` (count, height, width, channels) in [0, 1], and the answers.

    A question is the body of a request to the served model; an answer is what its `predictions` must then be.
    """
    shown = np.round(images[:IMAGES].astype("float64"), DECIMALS)
    latents = np.round(np.asarray(model.encode(shown.astype("float32"))[0], "float64"), DECIMALS)
    asked = {
        "reconstruct": (shown, {}),
        "encode": (shown, {}),
        "decode": (shown[:1], {"latents": latents.ravel().tolist()}),
        "sample": (shown[:1], {"n": 2, "seed": 1, "temperature": 1.0}),
        "score": (shown, {"seed": 1}),
    }
    questions = {
        mode: {"inputs": inputs.tolist(), "params": {"mode": mode, **params}}
        for mode, (inputs, params) in asked.items()
    }
    return {"backend": _backend(), "questions": questions, "answers": _answers(model, questions)}


def golden_differences(model: "GenerativeModel", golden: Mapping[str, Any]) -> list[str]:
    """A sentence for each mode in which `model` does not answer as `golden` says; none means that it reproduces it."""
    if incomplete := _incomplete(golden):
        return incomplete
    golden = _with_channels(golden)
    found = answer_differences(golden, _answers(model, golden["questions"]))
    if found and golden["backend"] != _backend():
        found.append(f"the golden outputs were made on {golden['backend']}, this is {_backend()}")
    return found


def answer_differences(golden: Mapping[str, Any], answers: Mapping[str, Any]) -> list[str]:
    """A sentence for each mode whose answer, by mode as lists by name, is not that of `golden`."""
    return _incomplete(golden) or [
        sentence for mode in MODES for sentence in _differences(mode, golden["answers"][mode], answers.get(mode))
    ]


def write_golden(golden: Mapping[str, Any], path: Path) -> None:
    """Write golden outputs as JSON, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(golden, sort_keys=True, separators=(",", ":")) + "\n", encoding="utf-8")


def read_golden(path: Path) -> dict[str, Any]:
    """What `write_golden` wrote. Raises VaelineError where the file is none of it."""
    try:
        golden = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise VaelineError(f"{path}: not golden outputs ({error})") from None
    if not isinstance(golden, dict) or _incomplete(golden):
        raise VaelineError(f"{path}: not golden outputs: they lack {'; '.join(_incomplete(golden)) or 'everything'}")
    return golden


def _with_channels(golden: Mapping[str, Any]) -> dict[str, Any]:
    """Golden outputs as they are made today; earlier ones have grey images (count, height, width) without channels.

    Earlier ones also ask `decode` about latents (count, 1, latent_dim) as its input.
    """
    questions, answers = golden["questions"], golden["answers"]
    if np.ndim(questions["reconstruct"]["inputs"]) == 4:
        return dict(golden)
    latents = np.ravel(questions["decode"]["inputs"]).tolist()
    asked = {mode: {**question, "inputs": _with_axis(question["inputs"])} for mode, question in questions.items()}
    asked["decode"] = {
        "inputs": asked["sample"]["inputs"],
        "params": {**questions["decode"]["params"], "latents": latents},
    }
    told = {
        mode: {name: _with_axis(values) if name == "images" else values for name, values in answer.items()}
        for mode, answer in answers.items()
    }
    return {**golden, "questions": asked, "answers": told}


def _with_axis(images: Any) -> list:
    return np.asarray(images)[..., None].tolist()


def _answers(model: "GenerativeModel", questions: Mapping[str, Any]) -> dict[str, dict[str, list]]:
    served = VAEModel()
    served.model = model
    return {
        mode: served.predict(None, np.asarray(question["inputs"], "float32"), question["params"])
        for mode, question in questions.items()
    }


def _incomplete(golden: Any) -> list[str]:
    parts = {"questions": dict, "answers": dict, "backend": str}
    if not isinstance(golden, Mapping) or not all(isinstance(golden.get(part), kind) for part, kind in parts.items()):
        return [f"the golden outputs are not {', '.join(parts)}"]
    return [
        f"{mode}: no golden output"
        for mode in MODES
        if mode not in golden["questions"] or not golden["answers"].get(mode)
    ]


def _differences(mode: str, expected: Mapping[str, list], answer: Mapping[str, list] | None) -> list[str]:
    if answer is None:
        return [f"{mode}: no answer"]
    if set(answer) != set(expected):
        return [f"{mode}: answers {', '.join(answer)}, not {', '.join(expected)}"]
    found = []
    for name, values in expected.items():
        wanted, given = np.asarray(values, "float64"), np.asarray(answer[name], "float64")
        if wanted.shape != given.shape:
            found.append(f"{mode}: {name} has shape {given.shape}, not {wanted.shape}")
        elif not np.allclose(given, wanted, TOLERANCE, TOLERANCE):
            furthest = np.abs(given - wanted).max()
            found.append(f"{mode}: {name} differs by up to {furthest:.4g} (tolerance {TOLERANCE:g})")
    return found


def _backend() -> str:
    import keras

    return keras.backend.backend()
