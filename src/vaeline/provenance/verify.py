"""Verify a registered version: compute anew what it records. Each check agrees, differs or cannot be made here."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from vaeline.artifacts import digest
from vaeline.errors import VaelineError
from vaeline.outputs import METRICS, MODEL, PREPARED, VALIDATION
from vaeline.params.base import PARAMS_FILE, flatten, load
from vaeline.params.yaml_text import parse_yaml
from vaeline.provenance.evidence import (
    COMMIT_TAG,
    DIRTY_TAG,
    ENVIRONMENT_TAG,
    KeptLock,
    about_commit,
    chain,
    home_commit,
    lock_of,
    run_of,
    why_missing,
)
from vaeline.pyfunc.contents import changes
from vaeline.registry.versions import ARCHIVE, FOLDER, artifact_copy, uri_of
from vaeline.stages import maker, read_stages
from vaeline.tracking.git import commit_trees
from vaeline.tracking.history import RecordedLock, differing_code, environment_digest, recorded_key
from vaeline.tracking.lineage import ENVIRONMENT_LOCK
from vaeline.tracking.locks import (
    Stages,
    code,
    is_about_its_model,
    lock_digest,
    lock_tags,
    locked_stages,
    outs,
    params,
    read_lock,
)
from vaeline.tracking.restore import LOCK_TAG, NOT_AVAILABLE
from vaeline.tracking.runs import DIGEST_TAG, FILES_TAG, KEY_TAG
from vaeline.tracking.sync import LOCKS, grouped_metrics, kept_lock
from vaeline.tracking.trees import cached_tree, disk_tree, dvc_md5, read_file

AGREES, DIFFERS, UNCHECKED = "agrees", "differs", "unchecked"
PACKAGE = "model/MLmodel"
TAGS_OF_THE_RUN = (  # a version has the same values as its run
    "vaeline.model_digest",
    "vaeline.files_sha256",
    "vaeline.train_key",
    "vaeline.environment_sha256",
    "vaeline.dataset",
    "vaeline.validation",
    "vaeline.machine",
    "vaeline.processor",
    "vaeline.backend",
    "vaeline.python",
    "vaeline.git_dirty",
    "vaeline.deps.",
    "vaeline.outs.",
    "vaeline.ci_",
    "mlflow.source.git.",
)
SHOWN = 4


@dataclass(frozen=True)
class LineageCheck:
    """One check: the recorded value, the found value and the verdict. `note` says where, or why nothing was found."""

    name: str
    verdict: str
    recorded: str = ""
    found: str = ""
    note: str = ""


def verify(client: MlflowClient, subject: ModelVersion | Run, recorded: Sequence[RecordedLock]) -> list[LineageCheck]:
    """All checks of a version or a run. `recorded` are the locks in git's history and the lock on disk."""
    run = run_of(client, subject)
    lock = lock_of(client, run, recorded)
    version = None if isinstance(subject, Run) else subject
    checks = list(check_version(client, version, run, recorded)) if version else []
    checks += check_archive(client, run, lock, registered=version is not None)
    checks.append(_check_lock_tag(client, "dvc.lock", run.data.tags.get(LOCK_TAG, ""), run, recorded))
    if lock is not None:
        checks += check_lock(run, lock)
        checks += check_commit(run, lock, home_commit(run, lock, recorded))
        checks += check_outputs(lock)
        checks += check_evaluation(client, run, lock)
    return checks


def check_version(
    client: MlflowClient, version: ModelVersion, run: Run, recorded: Sequence[RecordedLock]
) -> Iterable[LineageCheck]:
    """Compare the version with its run and, if it is a copy, with its source."""
    own, tags = version.tags, run.data.tags
    yield compare("model digest of the version", own[DIGEST_TAG], tags.get(DIGEST_TAG, ""), "tag of the run")
    claims = {tag: value for tag, value in own.items() if tag.startswith(TAGS_OF_THE_RUN)}
    yield _all_equal("tags of the version", claims, {tag: tags.get(tag) for tag in claims}, "those of the run")
    yield _check_lock_tag(client, "dvc.lock of the version", own.get(LOCK_TAG, ""), run, recorded)
    try:
        for source in chain(client, version)[1:]:
            yield compare(f"model digest of {uri_of(source)}", source.tags[DIGEST_TAG], own[DIGEST_TAG], "its copy")
    except VaelineError as error:
        yield LineageCheck("version that it was copied from", UNCHECKED, version.source or "", "", str(error))
    place = client.get_model_version_download_uri(version.name, version.version)
    yield compare("place of the version's files", f"{run.info.artifact_uri}/model", place, "registry")


def check_archive(client: MlflowClient, run: Run, lock: KeptLock | None, registered: bool) -> Iterable[LineageCheck]:
    """Compare the archive in the store with the tag of the run, with the registered package and with `dvc.lock`.

    The run must have an archive if it is `registered`.
    """
    claimed = run.data.tags.get(DIGEST_TAG, "")
    with artifact_copy(client, run.info.run_id, ARCHIVE) as file:
        if file is None:
            yield LineageCheck(
                "archive in the store", DIFFERS if registered else UNCHECKED, claimed, "", f"the run has no {ARCHIVE}"
            )
            return
        yield compare("archive in the store", claimed, digest(file), ARCHIVE)
        if lock:
            recorded = outs(lock.stages, "train").get(MODEL, "")
            yield compare("archive in dvc.lock", recorded, digest(file, "md5"), f"md5, {lock.where}")
    with artifact_copy(client, run.info.run_id, FOLDER) as folder:
        listed = run.data.tags.get(FILES_TAG, "")
        if folder is not None and (listed or registered):
            yield _check_files(folder, listed)
    with artifact_copy(client, run.info.run_id, PACKAGE) as file:
        if file is not None:
            flavor = load(file)["flavors"]["python_function"]
            demanded = flavor.get("config", {}).get("model_digest", "")
            yield compare("archive that the package loads", claimed, demanded, PACKAGE)


def _check_files(folder: Path, listed: str) -> LineageCheck:
    """Compare all files of the registered folder, code and environment included, with the list of its registration."""
    name, signed = "files of the registered model", "an earlier vaeline registered it; a signature can cover them"
    if not listed:
        return LineageCheck(name, UNCHECKED, note=signed)
    wrong = changes(folder, listed)
    more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    found = f"{', '.join(wrong[:SHOWN])}{more}" if wrong else listed
    return LineageCheck(name, DIFFERS if wrong else AGREES, listed, found)


def check_lock(run: Run, lock: KeptLock) -> Iterable[LineageCheck]:
    """Compare `dvc.lock` with the tags, the parameters and the data set of the run, and look for it in the commits."""
    tags, stages = run.data.tags, lock.stages
    if lock.commit:
        yield LineageCheck("dvc.lock in git", AGREES, lock.digest, lock.digest, f"commit {lock.commit[:12]}")
    else:
        yield LineageCheck("dvc.lock in git", UNCHECKED, lock.digest, "", "no commit of any branch has it")
    locked = {tag: value for tag, value in lock_tags(stages).items() if tag in tags and tag != LOCK_TAG}
    yield _all_equal("digests of the training", locked, tags, "tags of the run")
    run_params = {key: tags.get(f"vaeline.now.{key}", value) for key, value in run.data.params.items()}
    locked_params = {key: str(value) for key, value in params(stages).items()}
    yield _all_equal("parameters in dvc.lock", locked_params, run_params, "parameters of the run")
    for item in run.inputs.dataset_inputs if run.inputs else []:
        yield compare("data set of the run", item.dataset.digest, outs(stages, "prepare").get(PREPARED, ""), "dvc.lock")


def check_commit(run: Run, lock: KeptLock, home: str) -> Iterable[LineageCheck]:
    """Compare the code, parameters and environment of every stage, and the train key, with git."""
    tags, claimed = run.data.tags, run.data.tags.get(COMMIT_TAG, "")
    if not claimed:
        yield LineageCheck("commit", UNCHECKED, "", "", "the training was not in a git repository")
        return
    if not about_commit(claimed):
        yield LineageCheck("commit", UNCHECKED, claimed, "", why_missing())
        return
    note = "clean" if tags.get(DIRTY_TAG) == "false" else "with uncommitted changes"
    if home and home != claimed:
        note += f", which are in {home[:12]}"
    yield LineageCheck("commit", AGREES, claimed, claimed, note)
    commit = home or claimed
    for stage in lock.stages:
        if stage != "register":
            yield _check_stage(lock.stages, stage, [commit] if stage == "train" else [commit, lock.commit])
    if ENVIRONMENT_TAG in tags:
        found = environment_digest(commit)
        yield compare("environment", tags[ENVIRONMENT_TAG], found, f"{ENVIRONMENT_LOCK} of {commit[:12]}")
    if KEY_TAG in tags:
        key = recorded_key(lock.stages, commit)
        why = f"the commit has other code, or the data is {NOT_AVAILABLE}"
        yield (
            compare("train key", tags[KEY_TAG], key, commit[:12])
            if key
            else LineageCheck("train key", UNCHECKED, tags[KEY_TAG], "", why)
        )


def check_outputs(lock: KeptLock) -> Iterable[LineageCheck]:
    """Check the outputs of the stages, on disk at their paths and in DVC's cache."""
    here = locked_stages()
    for stage in lock.stages:
        for path, md5 in outs(lock.stages, stage).items() if stage != "register" else ():
            places = {"DVC cache": cached_tree(md5)}
            if outs(here, stage).get(path) == md5:
                places["disk"] = disk_tree(Path(path))
            if path == METRICS and lock.commit:
                places["git"] = commit_trees(lock.commit, [path])[path]
            found = {place: dvc_md5(tree) for place, tree in places.items() if tree is not None}
            wrong = {place: other for place, other in found.items() if other != md5}
            if not found:
                yield LineageCheck(path, UNCHECKED, md5, "", NOT_AVAILABLE)
            else:
                where = wrong or found
                yield compare(path, md5, next(iter(where.values())), ", ".join(where))


def check_evaluation(client: MlflowClient, run: Run, lock: KeptLock) -> Iterable[LineageCheck]:
    """Compare the run's files and metrics with what `dvc.lock` records of its evaluation and its validation."""
    stages, declared = lock.stages, read_stages()
    for stage in (maker(declared, VALIDATION), maker(declared, METRICS)):
        for path, md5 in outs(stages, stage).items():
            artifact = f"{declared[stage].run_folder}/{Path(path).name}"
            with artifact_copy(client, run.info.run_id, artifact) as file:
                if file is None:
                    continue
                if MODEL in declared[stage].deps and not is_about_its_model(stages, stage):
                    yield LineageCheck(artifact, UNCHECKED, md5, "", "dvc.lock records the evaluation of another model")
                    continue
                yield compare(artifact, md5, digest(file, "md5"), "file of the run")
                if path == METRICS:
                    figures = grouped_metrics(json.loads(file.read_text(encoding="utf-8")))
                    yield _all_equal("metrics of the run", figures, run.data.metrics, artifact)
                if path == VALIDATION:
                    report = json.loads(file.read_text(encoding="utf-8"))
                    verdict = run.data.tags.get("vaeline.validation", "")
                    yield compare("validation of the data", verdict, report.get("status", "unknown"), artifact)


def compare(name: str, recorded: str, found: str, note: str = "") -> LineageCheck:
    """A check of two values that must be equal."""
    return LineageCheck(name, AGREES if recorded == found else DIFFERS, recorded, found, note)


def _all_equal(name: str, claims: Mapping[str, Any], truth: Mapping[str, Any], where: str) -> LineageCheck:
    """Check many values. The result names those that differ."""
    wrong = [key for key, value in claims.items() if truth.get(key) != value]
    shown = ", ".join(f"{key} {truth.get(key)}" for key in wrong[:SHOWN])
    claimed = ", ".join(f"{key} {claims[key]}" for key in wrong[:SHOWN]) or f"{len(claims)} values"
    more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return LineageCheck(name, DIFFERS if wrong else AGREES, claimed + more, shown or f"{len(claims)} values", where)


def _check_lock_tag(
    client: MlflowClient, name: str, tagged: str, run: Run, recorded: Sequence[RecordedLock]
) -> LineageCheck:
    """Check that a tagged `dvc.lock` is in git or in the run's artifacts, which keep one for each evaluation."""
    with artifact_copy(client, run.info.run_id, kept_lock(tagged)) as file:
        if file is not None:
            return compare(name, tagged, lock_digest(read_lock(file.read_bytes())), "kept by the run")
    if any(lock.digest == tagged for lock in recorded):
        return LineageCheck(name, AGREES, tagged, tagged, "the run keeps no copy, but a commit or this folder has it")
    if client.list_artifacts(run.info.run_id, LOCKS):
        return LineageCheck(name, DIFFERS, tagged, "", "the run keeps no lock with this digest")
    return LineageCheck(name, UNCHECKED, tagged, "", "neither the run, nor a commit, nor this folder has it")


def _check_stage(stages: Stages, stage: str, commits: Sequence[str]) -> LineageCheck:
    """Compare code and parameters of a stage with each of `commits`. A later evaluation may have a later commit."""
    found = {commit: differing(stages, stage, commit) for commit in commits if commit}
    commit = next((commit for commit, wrong in found.items() if not wrong), commits[0])
    counted = f"{len(code(stages, stage))} files and folders, {len(params(stages, stage))} parameters"
    wrong = ", ".join(found[commit])
    return LineageCheck(
        f"stage {stage}", DIFFERS if wrong else AGREES, counted, wrong or counted, f"commit {commit[:12]}"
    )


def differing(stages: Stages, stage: str, commit: str) -> list[str]:
    """The files and parameters of a stage that differ in the commit. Own images do not count if the disk has them.

    Git does not have own images.
    """
    recorded, parameters = code(stages, stage), params(stages, stage)
    files = [path for path in differing_code(stages, stage, commit) if not _on_disk(path, recorded[path])]
    held = commit_trees(commit, [str(PARAMS_FILE)])[str(PARAMS_FILE)]
    values = flatten(parse_yaml(read_file(held), f"{commit[:12]}: {PARAMS_FILE}")) if held else {}
    return files + [key for key, value in parameters.items() if key not in values or values[key] != value]


def _on_disk(path: str, md5: str) -> bool:
    tree = disk_tree(Path(path)) if path.startswith("data/") else None
    return tree is not None and dvc_md5(tree) == md5
