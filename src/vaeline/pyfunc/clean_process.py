"""Run a packaged model in a new process, with the code of its package and without pickle."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vaeline.errors import VaelineError
from vaeline.redaction import one_line
from vaeline.tracking.sqlite import sqlite_file, sqlite_uri
from vaeline.tracking.store import tracking_uri

SCRIPT = """
import json, sys
import mlflow, numpy as np
folder, questions, answers = sys.argv[1:]
model = mlflow.pyfunc.load_model(folder)
questions = json.load(open(questions))
json.dump({mode: model.predict(np.asarray(question["inputs"], "float32"), question["params"])
           for mode, question in questions.items()}, open(answers, "w"))
"""
TIMEOUT = 300  # seconds


def answers_of(folder: Path, questions: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The answers of the packaged model in `folder` by mode, from a new process that cannot use pickle.

    questions: `inputs` and `params` of a request by mode, as in golden outputs.
    name: the name of the model in error messages.

    Raises:
        VaelineError: the model does not load, or does not answer in time.
    """
    with tempfile.TemporaryDirectory() as scratch:
        questions_file, answers_file = Path(scratch) / "questions.json", Path(scratch) / "answers.json"
        questions_file.write_text(json.dumps(questions), encoding="utf-8")
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-c", SCRIPT, str(folder), str(questions_file), str(answers_file)],
                cwd=scratch,
                env=clean_environment() | {"TF_CPP_MIN_LOG_LEVEL": "3"},
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            raise VaelineError(f"{name} gave no answer in a clean process within {TIMEOUT} seconds") from None
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
            raise VaelineError(f"{name} does not load and answer in a clean process: {one_line(last[0], 300)}")
        return json.loads(answers_file.read_text(encoding="utf-8"))


def clean_environment() -> dict[str, str]:
    """The environment of this process, without its code, with the same store, and with pickle forbidden."""
    uri = tracking_uri()
    if file := sqlite_file(uri):
        uri = sqlite_uri(file.resolve())
    left_out = {"PYTHONPATH", "PYTHONHOME", "DVC_ROOT"}
    return {name: value for name, value in os.environ.items() if name not in left_out} | {
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONSAFEPATH": "1",
    }
