"""A registered model, tried as a stranger would use it: a process of its own, its packaged code, no pickle."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vaeline.errors import VaelineError
from vaeline.registry.gate.served import clean_environment
from vaeline.registry.golden import GOLDEN, answer_differences, read_golden
from vaeline.registry.stored import StoredModel

SCRIPT = """
import json, sys
import mlflow, numpy as np
folder, questions, answers = sys.argv[1:]
model = mlflow.pyfunc.load_model(folder)
asked = json.load(open(questions))
json.dump({mode: model.predict(np.asarray(question["inputs"], "float32"), question["params"])
           for mode, question in asked.items()}, open(answers, "w"))
"""
PATIENCE = 300  # seconds


def try_stored(stored: StoredModel) -> None:
    """Load the model in a clean process and compare its answers with its golden outputs; needs no data.

    Raises:
        VaelineError: the archive is missing or was changed, the model does not load, or it answers differently.
    """
    with stored.package() as folder:
        if not (folder / GOLDEN).is_file():
            raise VaelineError(f"{stored.name} has no golden outputs: it was registered before there were any")
        golden = read_golden(folder / GOLDEN)
        differences = answer_differences(golden, answers_of(folder, golden["questions"], stored.name))
    if differences:
        raise VaelineError(f"{stored.name} does not reproduce its golden outputs: {'; '.join(differences)}")


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
