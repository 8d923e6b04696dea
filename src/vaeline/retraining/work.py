"""Run a retraining: the pipeline, the gate and, if the parameters allow it, the promotion. One at a time."""

import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from vaeline.dvc_repro import run_dvc
from vaeline.errors import VaelineError
from vaeline.gate.policy import EXIT_STATUS, READ_OUTPUTS, SUPERIOR, policy
from vaeline.outputs import MODEL
from vaeline.params.whole import Params
from vaeline.registry.garbage import MD5_TAG
from vaeline.registry.ledger import read_ledger
from vaeline.registry.names import candidate_name, served_name
from vaeline.registry.promotion import promote
from vaeline.registry.terms import Terms
from vaeline.registry.versions import versions_named
from vaeline.retraining.due import AGE, Champion
from vaeline.retraining.inputs import DEPENDENCIES, TRAIN, Change
from vaeline.stages import made_deps, read_stages
from vaeline.thresholds.stored import with_gate_thresholds
from vaeline.tracking.locks import locked_stages, outs
from vaeline.tracking.runs import DIGEST_TAG
from vaeline.tracking.store import state_directory

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

VERDICTS = {status: verdict for verdict, status in EXIT_STATUS.items()}
REMAKES = {AGE, DEPENDENCIES}  # reasons that DVC does not see, so that the training must be forced
UNCHANGED, CANDIDATE, PROMOTED = "unchanged", "candidate", "promoted"


@dataclass(frozen=True)
class RetrainingResult:
    """The result of a retraining in a word and in a sentence. The verdict is "" if the gate did not run."""

    word: str
    sentence: str
    candidate: str
    verdict: str = ""


@contextmanager
def alone() -> Generator[bool]:
    """Whether no other retraining runs in this repository. During the block, no other can start."""
    lock = FileLock(state_directory() / "retrain.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def retrain(
    client: "MlflowClient",
    params: Params,
    champion: Champion | None,
    reasons: list[Change],
    tell: Callable[[str], None],
) -> RetrainingResult:
    """Run the pipeline, judge its model by the gate, and promote it if the parameters allow it.

    Results of other machines come from the DVC remote. Raises VaelineError if a step fails. The champion is then
    unchanged.
    """
    run_pipeline(force=any(reason.kind in REMAKES for reason in reasons))
    version = made_version(client, params.data.name)
    number = str(version.version)
    if champion and version.tags[DIGEST_TAG] == champion.digest:
        advice = "; drift is answered by new labelled data" if not any(r.kind in REMAKES for r in reasons) else ""
        sentence = f"the pipeline made champion {champion.version} again, bit by bit{advice}"
        return RetrainingResult(UNCHANGED, sentence, number)
    verdict = gate(number)
    tell(f"candidate {number}: the gate says {verdict}")
    refusal = why_not(client, params, champion, version, verdict)
    if champion is None or refusal:
        return RetrainingResult(CANDIDATE, f"candidate {number} waits: {refusal}", number, verdict)
    used = policy(with_gate_thresholds(params, params.data.name))
    terms = Terms(timedelta(days=params.registry.report_days), used, champion.version)
    promote(client, client.get_model_version(version.name, number), served_name(params.data.name), terms, tell=tell)
    return RetrainingResult(
        PROMOTED, f"candidate {number} took the place of champion {champion.version}", number, verdict
    )


def run_pipeline(force: bool = False) -> None:
    """Run `dvc repro` with the files of the remote. `force` trains even if DVC sees no change. Raises VaelineError."""
    run_dvc("repro", "--pull", "--allow-missing")
    if force:
        run_dvc("pull", *made_deps(read_stages(), TRAIN))
        run_dvc("repro", "--force", "--single-item", TRAIN)
        run_dvc("repro", "--pull", "--allow-missing")
    run_dvc("pull", *READ_OUTPUTS)


def made_version(client: "MlflowClient", dataset: str) -> "ModelVersion":
    """The candidate that `dvc.lock` records.

    Another machine may have registered it. If no store has it, its files are fetched and it is registered. Raises
    VaelineError.
    """
    name, md5 = candidate_name(dataset), outs(locked_stages(), TRAIN).get(MODEL, "")
    found = versions_named(client, name, {MD5_TAG: md5})
    if not found:
        run_dvc("pull", "--allow-missing")
        run_dvc("repro", "--force", "--single-item", "register")
        found = versions_named(client, name, {MD5_TAG: md5})
    if not found:
        raise VaelineError(f"the pipeline registered no version of {name} that holds the model of dvc.lock")
    return found[0]


def gate(number: str) -> str:
    """The verdict of `vaeline gate`, run in its own process. Raises VaelineError if it gives no verdict."""
    status = subprocess.run([sys.executable, "-m", "vaeline.cli", "gate", number], check=False).returncode
    if status not in VERDICTS:
        raise VaelineError(f"`vaeline gate {number}` gave no verdict; its output above says why")
    return VERDICTS[status]


def why_not(
    client: "MlflowClient", params: Params, champion: Champion | None, version: "ModelVersion", verdict: str
) -> str:
    """The reason why a candidate is not promoted automatically; "" if it is."""
    if verdict != "pass":
        return f"the gate's verdict is {verdict}"
    if champion is None:
        return "the first champion is a person's choice"
    if not params.retrain.promote:
        return "retrain.promote is false, so a person decides"
    if params.gate.mode != SUPERIOR:
        return f"gate.mode is {params.gate.mode}, which is no reason to change the champion"
    model_sha256 = version.tags[DIGEST_TAG]
    for entry in read_ledger(client, served_name(params.data.name)):
        if entry["action"] == "rollback" and entry["from_digest"] == model_sha256:
            return f"it was champion before and was rolled back ({entry['reason']}), so a person decides"
    return ""
