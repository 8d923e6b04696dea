"""Write the parts of a model as files for other programs, and compare their answers with the model's."""

import importlib
import json
import logging
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import keras
import numpy as np
from jaxtyping import Shaped

from vaeline.artifacts import atomic_directory, write_json
from vaeline.errors import VaelineError
from vaeline.evaluation.inference import to_numpy
from vaeline.export.description import ARRAYS, describe
from vaeline.export.folder import DESCRIPTION
from vaeline.export.parts import Part, parts_of
from vaeline.models.generative import GenerativeModel
from vaeline.params.base import flatten

OPSET = 18
ASKED_IMAGES = 3
TIMED_CALLS = 20
TOLERANCE = 1e-4
"""Absolute and relative. The same sums in another order differ by about 1e-5."""

Arrays: TypeAlias = Mapping[str, Shaped[np.ndarray, "..."]]


@dataclass(frozen=True)
class Format:
    """A form of files.

    ending: of the names. packages: what it needs besides the packages of vaeline. write: writes a part to a path, with
    facts about it. open: what was written, as a function of arrays by name.
    """

    ending: str
    packages: tuple[str, ...]
    write: Callable[[Part, Path, Mapping[str, str]], None]
    open: Callable[[Path], Callable[[Arrays], Arrays]]


@dataclass(frozen=True)
class Exported:
    """A part that was written: its path, its bytes, and the seconds of its answer to one image on this machine."""

    path: Path
    size: int
    seconds: float


def export_model(model: GenerativeModel, model_sha256: str, folder: Path, form: str) -> list[Exported]:
    """Write encoder, decoder and score of `model` into `folder`, in a form of `FORMATS`, and what they take and give.

    Every part is asked about images that the model draws. The folder is made, or replaced, only if all answers are
    those of the model.

    Raises:
        VaelineError: a package is missing, Keras does not run on TensorFlow, or an answer is not that of the model.
    """
    wanted = FORMATS[form]
    _require(form)
    about: dict[str, Any] = {**describe(model, model_sha256)}
    questions, exported = ask(model), []
    with atomic_directory(folder) as temporary:
        for part in parts_of(model):
            asked = {name: questions[name] for name in part.takes}
            expected = {name: to_numpy(values) for name, values in part(asked).items()}
            path = temporary / f"{part.name}{wanted.ending}"
            arrays = {"inputs": _meanings(asked), "outputs": _meanings(expected)}
            wanted.write(part, path, _flat(describe(model, model_sha256) | arrays))
            run = wanted.open(path)
            compare_answers(part.name, expected, run(asked))
            about[part.name] = arrays
            exported.append(Exported(folder / path.name, _size(path), time_of_one(run, asked)))
        write_json(temporary / DESCRIPTION, about)
    return exported


def ask(model: GenerativeModel) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Some images that the model draws, and all else that its parts take, by name."""
    rng = np.random.default_rng(0)
    z = to_numpy(model.draw_latents(ASKED_IMAGES, 0))
    return {
        "images": np.clip(to_numpy(model.decode(z)), 0, 1),
        "label": np.arange(ASKED_IMAGES) % model.classes,
        "noise": rng.standard_normal((ASKED_IMAGES, model.noise_dim), dtype="float32"),
        "z": z,
    }


def compare_answers(name: str, expected: Arrays, answers: Arrays) -> None:
    """Raise VaelineError if the answers of a file, which holds the part `name`, are not the `expected` ones."""
    for output, values in expected.items():
        found = np.asarray(answers[output])
        if found.shape != values.shape or not np.allclose(found, values, TOLERANCE, TOLERANCE):
            raise VaelineError(
                f"the exported {name} gives other values of {output} than the model, so nothing was written; "
                "please report this model's section `model` of params.yaml"
            )


def time_of_one(run: Callable[[Arrays], Arrays], asked: Arrays) -> float:
    """The median of the seconds that one image takes, after one call that is not counted."""
    one, seconds = {name: values[:1] for name, values in asked.items()}, []
    run(one)
    for _ in range(TIMED_CALLS):
        began = time.perf_counter()
        run(one)
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


def _require(form: str) -> None:
    if keras.backend.backend() != "tensorflow":
        raise VaelineError(
            f"export needs Keras on TensorFlow, but KERAS_BACKEND is {keras.backend.backend()}; unset it"
        )
    for package in FORMATS[form].packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise VaelineError(
                f"--format {form} needs the packages of vaeline's extra `export`, and {error.name} is missing"
            ) from None


def _meanings(arrays: Arrays) -> dict[str, str]:
    return {name: ARRAYS[name] for name in sorted(arrays)}


def _flat(about: Mapping[str, Any]) -> dict[str, str]:
    """Facts as texts by name, those of a section as `outputs.images`; truth values are `true` and `false`."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in flatten(about).items()}


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _write_onnx(part: Part, path: Path, facts: Mapping[str, str]) -> None:
    import onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*`np.object`", FutureWarning)
        part.export(path, format="onnx", verbose=False, input_signature=[part.takes], opset_version=OPSET)
    written = onnx.load(path)
    onnx.helper.set_model_props(written, dict(facts))
    onnx.save(written, path)


def _open_onnx(path: Path) -> Callable[[Arrays], Arrays]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda asked: dict(zip(names, map(np.asarray, session.run(names, dict(asked))), strict=True))


def _write_saved_model(part: Part, path: Path, facts: Mapping[str, str]) -> None:
    part.export(path, format="tf_saved_model", verbose=False, input_signature=[part.takes])


def _open_saved_model(path: Path) -> Callable[[Arrays], Arrays]:
    layer = keras.layers.TFSMLayer(str(path), call_endpoint="serve")
    return lambda asked: {name: to_numpy(values) for name, values in layer(dict(asked)).items()}


FORMATS = {
    "onnx": Format(".onnx", ("tf2onnx", "onnx", "onnxruntime"), _write_onnx, _open_onnx),
    "savedmodel": Format("", (), _write_saved_model, _open_saved_model),
}
