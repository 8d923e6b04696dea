"""Golden outputs: the answers of a model in every mode when it was registered.

Wherever the model is served, it must give the same answers. Keras is imported inside functions, because reading and
packaging golden outputs do not need it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from vaeline.artifacts import atomic_file
from vaeline.errors import VaelineError
from vaeline.pyfunc.model import DECIMALS, MODES, VAEModel

if TYPE_CHECKING:
    from vaeline.models.generative import GenerativeModel

GOLDEN = "golden.json"
IMAGES = 4
TOLERANCE = 1e-3
"""Absolute and relative. Machines differ by about 1e-5, another training of the same model by more than 1e-1."""


def make_golden(model: "GenerativeModel", images: Float[np.ndarray, "count height width channels"]) -> dict[str, Any]:
    """Questions in every mode about the first four of `images`, with values from 0 to 1, and the model's answers.

    A question is the body of a request to the served model. The answer is the `predictions` of the response.
    """
    inputs = np.round(images[:IMAGES].astype("float64"), DECIMALS)
    latents = np.round(np.asarray(model.encode(inputs.astype("float32"))[0], "float64"), DECIMALS)
    requests = {
        "reconstruct": (inputs, {}),
        "encode": (inputs, {}),
        "decode": (inputs[:1], {"latents": latents.ravel().tolist()}),
        "sample": (inputs[:1], {"n": 2, "seed": 1, "temperature": 1.0}),
        "score": (inputs, {"seed": 1}),
    }
    questions = {
        mode: {"inputs": values.tolist(), "params": {"mode": mode, **params}}
        for mode, (values, params) in requests.items()
    }
    return {"backend": _backend(), "questions": questions, "answers": _answers(model, questions)}


def golden_differences(model: "GenerativeModel", golden: Mapping[str, Any]) -> list[str]:
    """A sentence for each mode in which the model's answer differs from the golden outputs; empty if none differs."""
    if incomplete := _incomplete(golden):
        return incomplete
    golden = _with_channels(golden)
    found = answer_differences(golden, _answers(model, golden["questions"]))
    if found and golden["backend"] != _backend():
        found.append(f"the golden outputs were made on {golden['backend']}, and this backend is {_backend()}")
    return found


def answer_differences(golden: Mapping[str, Any], answers: Mapping[str, Any]) -> list[str]:
    """A sentence for each mode in which `answers` differ from the golden outputs; empty if none differs.

    answers: by mode, lists by name.
    """
    return _incomplete(golden) or [
        sentence for mode in MODES for sentence in _differences(mode, golden["answers"][mode], answers.get(mode))
    ]


def write_golden(golden: Mapping[str, Any], path: Path) -> None:
    """Write golden outputs as JSON, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(golden, sort_keys=True, separators=(",", ":")) + "\n", encoding="utf-8")


def read_golden(path: Path) -> dict[str, Any]:
    """Read a file of `write_golden`. Raises VaelineError if it is not one."""
    try:
        golden = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise VaelineError(f"{path}: not golden outputs ({error})") from None
    if incomplete := _incomplete(golden):
        raise VaelineError(f"{path}: not golden outputs ({'; '.join(incomplete)})")
    return golden


def _with_channels(golden: Mapping[str, Any]) -> dict[str, Any]:
    """Golden outputs in the present form.

    Earlier ones have grey images (count, height, width) without channels, and the input of `decode` is latents
    (count, 1, latent_dim).
    """
    questions, answers = golden["questions"], golden["answers"]
    if np.ndim(questions["reconstruct"]["inputs"]) == 4:
        return dict(golden)
    latents = np.ravel(questions["decode"]["inputs"]).tolist()
    new_questions = {
        mode: {**question, "inputs": _with_axis(question["inputs"])} for mode, question in questions.items()
    }
    new_questions["decode"] = {
        "inputs": new_questions["sample"]["inputs"],
        "params": {**questions["decode"]["params"], "latents": latents},
    }
    new_answers = {
        mode: {name: _with_axis(values) if name == "images" else values for name, values in answer.items()}
        for mode, answer in answers.items()
    }
    return {**golden, "questions": new_questions, "answers": new_answers}


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
        return ["golden outputs need questions, answers and a backend"]
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
