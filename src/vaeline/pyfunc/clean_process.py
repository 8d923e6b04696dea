"""A packaged model in a process of its own: it runs the code of its package, and nothing is unpickled."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vaeline.errors import VaelineError
from vaeline.tracking.store import tracking_uri

SCRIPT = """
import json, sys
import mlflow, numpy as np
folder, questions, answers = sys.argv[1:]
model = mlflow.pyfunc.load_model(folder)
asked = json.load(open(questions))
json.dump({mode: model.predict(np.asarray(question["inputs"], "float32"), question["params"])
           for mode, question in asked.items()}, open(answers, "w"))
"""
SQLITE = "sqlite:///"
PATIENCE = 300  # seconds


def answers_of(folder: Path, questions: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What the packaged model in `folder` answers, by mode, in a clean process that must not unpickle anything.

    Raises:
        VaelineError: it does not load, or gives no answer; `name` is what the message calls it.
    """
    with tempfile.TemporaryDirectory() as scratch:
        asked, answers = Path(scratch) / "questions.json", Path(scratch) / "answers.json"
        asked.write_text(json.dumps(questions), encoding="utf-8")
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-c", SCRIPT, str(folder), str(asked), str(answers)],
                cwd=scratch,
                env=clean_environment() | {"TF_CPP_MIN_LOG_LEVEL": "3"},
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE,
            )
        except subprocess.TimeoutExpired:
            raise VaelineError(f"{name} gave no answer in a clean process within {PATIENCE} seconds") from None
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
            raise VaelineError(f"{name} does not load and answer in a clean process: {last[0][:300]}")
        return json.loads(answers.read_text(encoding="utf-8"))


def clean_environment() -> dict[str, str]:
    """This process's environment without its code, with the same store, and with pickle forbidden."""
    uri = tracking_uri()
    if uri.startswith(SQLITE):
        uri = f"{SQLITE}{Path(uri.removeprefix(SQLITE)).resolve()}"
    left_out = {"PYTHONPATH", "PYTHONHOME", "DVC_ROOT"}
    return {name: value for name, value in os.environ.items() if name not in left_out} | {
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONSAFEPATH": "1",
    }
