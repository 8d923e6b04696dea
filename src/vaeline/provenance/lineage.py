"""The lineage of a version, a run, a file or an image, as a graph."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from vaeline.data.prepared import Prepared, read_prepared
from vaeline.outputs import HISTORY, METRICS, MODEL, PREPARED, RAW, VALIDATION
from vaeline.provenance.evidence import (
    COMMIT_TAG,
    DIRTY_TAG,
    ENVIRONMENT_TAG,
    KeptLock,
    about_commit,
    copied_from,
    lock_of,
    run_of,
    versions_of,
    why_missing,
)
from vaeline.provenance.graph import Edge, Graph, Node, make_graph
from vaeline.provenance.nodes import (
    file_id,
    file_node,
    image_node,
    known,
    move_node,
    run_id,
    run_node,
    version_id,
    version_node,
)
from vaeline.provenance.subjects import ImageRow, RecordedFile, Subject, digests_of, recorded_digests
from vaeline.registry.ledger import read_ledger
from vaeline.registry.versions import artifact_copy, uri_of
from vaeline.tracking.history import RecordedLock
from vaeline.tracking.lineage import ENVIRONMENT_LOCK
from vaeline.tracking.locks import Stages, code, deps, outs, params, stages_without
from vaeline.tracking.restore import LOCK_TAG, is_run_of
from vaeline.tracking.runs import DIGEST_TAG, every_run
from vaeline.tracking.trees import disk_tree, dvc_md5

SCORES = "evaluation/scores.parquet"
INTO_TRAINING = {PREPARED: "trained", VALIDATION: "approved"}
ROLES = {"train": "trained", "validation": "validated", "test": "tested"}

Parts = tuple[list[Node], list[Edge]]


def lineage(client: MlflowClient, subject: Subject, recorded: Sequence[RecordedLock]) -> Graph:
    """The graph about `subject`. `recorded` are the locks in git's history and the lock on disk.

    Raises:
        VaelineError: the subject is an image that is not on disk.
    """
    if isinstance(subject, RecordedFile):
        return lineage_of_file(client, subject, recorded)
    if isinstance(subject, ImageRow):
        return lineage_of_image(client, subject, read_prepared(Path(PREPARED)), recorded)
    if isinstance(subject, Run):
        return lineage_of_run(client, subject, run_node(subject), recorded)
    return lineage_of_run(client, run_of(client, subject), version_node(subject), recorded)


def lineage_of_run(client: MlflowClient, run: Run, subject: Node, recorded: Sequence[RecordedLock]) -> Graph:
    """All that a run was made from, and the versions of its model. `subject` is the run or one of these versions."""
    lock = lock_of(client, run, recorded)
    md5 = digests_of(run).get(MODEL) or (outs(lock.stages, "train")[MODEL] if lock else "")
    parts = [_versions(client, run, md5), _circumstances(run, lock), _data_set(run)]
    parts.append(_stages(lock.stages, (MODEL, METRICS), run_id(run)) if lock else _tagged(run))
    return make_graph(subject, *_join(parts))


def lineage_of_file(client: MlflowClient, file: RecordedFile, recorded: Sequence[RecordedLock]) -> Graph:
    """What a file or folder was made from, and every run and version that used or made it."""
    parts = []
    for stages in (lock.stages for lock in reversed(recorded)):
        made = {path: md5 for stage in stages_without(stages, MODEL) for path, md5 in outs(stages, stage).items()}
        if targets := [path for path in file.paths if made.get(path) == file.md5]:
            parts.append(_stages(stages, targets))
            break
    for run in every_run(client):
        own = digests_of(run)
        known_digests = [own, *(recorded_digests(lock.stages) for lock in recorded if is_run_of(run, lock))]
        if paths := {path for digests in known_digests for path, md5 in digests.items() if md5 == file.md5}:
            prepared, model = (
                next((digests[path] for digests in known_digests if path in digests), "") for path in (PREPARED, MODEL)
            )
            parts += [
                _versions(client, run, model),
                *(_file_edges(path, file.md5, prepared, run) for path in sorted(paths)),
            ]
    return make_graph(file_node(file.paths[0], file.md5), *_join(parts))


def lineage_of_image(
    client: MlflowClient, image: ImageRow, prepared: Prepared, recorded: Sequence[RecordedLock]
) -> Graph:
    """The source of a row of the prepared data on disk, and the runs that used it for training, validation or test.

    A run that was tested on the image shows its scores.

    Raises:
        VaelineError: the split has no such row.
    """
    subject, tree = image_node(image, prepared), disk_tree(Path(PREPARED))
    md5 = dvc_md5(tree) if tree else ""
    about = file_node(PREPARED, md5, {"data set": prepared.title, "splits": prepared.manifest["splits"]})
    parts = [([about], [Edge(about.id, subject.id, f"row {image.row} of {image.split}")])]
    parts += [
        _stages(stages, (PREPARED,))
        for stages in (lock.stages for lock in reversed(recorded))
        if outs(stages, "prepare").get(PREPARED) == md5
    ][:1]
    for run in every_run(client):
        if DIGEST_TAG in run.data.tags and _splits(run).get(image.split) == prepared.manifest["splits"][image.split]:
            scores = _scores(client, run, image.row) if image.split == "test" else {}
            parts.append(([run_node(run, scores)], [Edge(subject.id, run_id(run), ROLES[image.split])]))
            parts.append(_versions(client, run, digests_of(run).get(MODEL, "")))
    return make_graph(subject, *_join(parts))


def _versions(client: MlflowClient, run: Run, md5: str) -> Parts:
    """The run, its model with DVC's md5, the registered versions of the model, and the moves that made one champion."""
    sha256 = run.data.tags.get(DIGEST_TAG, "")
    nodes, edges = [run_node(run)], []
    if not sha256:
        return nodes, edges
    model = Node(file_id(md5 or sha256), "model", MODEL, sha256, known({"md5": md5}))
    nodes.append(model)
    edges.append(Edge(run_id(run), model.id, "made"))
    versions = versions_of(client, run)
    there = {uri_of(version) for version in versions}
    for version in versions:
        node, source = version_node(version), copied_from(version)
        nodes.append(node)
        edges.append(
            Edge(version_id(source), node.id, "promoted to")
            if source in there
            else Edge(model.id, node.id, "registered as")
        )
    moves = _moves(client, versions)
    return nodes + moves[0], edges + moves[1]


def _moves(client: MlflowClient, versions: Iterable[ModelVersion]) -> Parts:
    """The entries of the ledger that made one of the versions champion."""
    ids = {(version.name, str(version.version)): version_id(uri_of(version)) for version in versions}
    moves = [
        (move_node(entry, name), ids[name, entry["to"]])
        for name in dict.fromkeys(name for name, _ in ids)
        for entry in read_ledger(client, name)
        if (name, entry.get("to")) in ids
    ]
    return [node for node, _ in moves], [Edge(node.id, version, "made it champion") for node, version in moves]


def _circumstances(run: Run, lock: KeptLock | None) -> Parts:
    """The commit, lock, parameters, environment, validation and CI job of a run."""
    tags, into_run = run.data.tags, []
    if commit := tags.get(COMMIT_TAG):
        tree = {"true": "with uncommitted changes", "false": "clean"}.get(tags.get(DIRTY_TAG, ""), "unknown")
        about = {"tree": tree, **about_commit(commit)}
        into_run.append((Node("commit", "commit", about.get("subject") or why_missing(), commit, about), "code of"))
    if digest := tags.get(LOCK_TAG):
        about = {"found in": lock.where, "first commit": lock.commit, "stages": dict(lock.stages)} if lock else {}
        into_run.append((Node("lock", "lock", "dvc.lock", digest, known(about)), "records"))
    if run.data.params:
        into_run.append(
            (Node("parameters", "parameters", "params.yaml", "", {"values": dict(run.data.params)}), "parameters of")
        )
    if digest := tags.get(ENVIRONMENT_TAG):
        into_run.append((Node("environment", "environment", str(ENVIRONMENT_LOCK), digest), "installed for"))
    if "vaeline.validation" in tags:
        md5 = digests_of(run).get(VALIDATION, "")
        verdict = {"status": tags["vaeline.validation"], "profile": tags.get("vaeline.validation_profile", "")}
        into_run.append((Node(file_id(md5), "validation", VALIDATION, md5, verdict), INTO_TRAINING[VALIDATION]))
    if address := tags.get("vaeline.ci_url"):
        about = {"workflow": tags.get("vaeline.ci_workflow", ""), "actor": tags.get("vaeline.ci_actor", "")}
        into_run.append((Node("ci", "CI run", address, "", known(about)), "ran"))
    return [node for node, _ in into_run], [Edge(node.id, run_id(run), label) for node, label in into_run]


def _data_set(run: Run) -> Parts:
    """The data set that MLflow records as the run's input, with the rows and digests of its splits."""
    nodes = [
        file_node(PREPARED, item.dataset.digest, {"data set": item.dataset.name, "splits": _splits(run)})
        for item in (run.inputs.dataset_inputs if run.inputs else [])
    ]
    return nodes, [Edge(node.id, run_id(run), INTO_TRAINING[PREPARED]) for node in nodes]


def _stages(stages: Stages, targets: Iterable[str], train: str = "stage:train") -> Parts:
    """The stages that made `targets`, their inputs, and the stages that made these. `train` is the node of `train`."""
    makers = {path: stage for stage in stages for path in outs(stages, stage)}
    needed, done = [path for path in targets if path in makers], {}
    nodes, edges = [], []
    for path in needed:  # the inputs of each stage are appended
        stage = makers[path]
        here = train if stage == "train" else f"stage:{stage}"
        nodes.append(file_node(path, outs(stages, stage)[path]))
        edges.append(Edge(here, nodes[-1].id, "made"))
        if stage in done:
            continue
        done[stage] = here
        own = code(stages, stage)
        facts = {"command": stages[stage]["cmd"], "parameters": params(stages, stage)}
        nodes += [
            Node(here, "stage", stage, "", known(facts)),
            Node(f"code:{stage}", "code", f"code of {stage}", "", own),
        ]
        edges.append(Edge(f"code:{stage}", here, "runs in"))
        for dep, md5 in deps(stages, stage).items():
            if dep not in own:
                edges.append(
                    Edge(file_id(md5), here, INTO_TRAINING.get(dep, "went into") if stage == "train" else "went into")
                )
                needed.append(dep)
    return nodes, edges


def _tagged(run: Run) -> Parts:
    """The inputs of a run as its tags record them, for a run whose lock is lost."""
    md5s = {path: md5 for path, md5 in digests_of(run).items() if path not in (MODEL, HISTORY)}
    files = [file_node(path, md5) for path, md5 in md5s.items() if path.startswith(("data/", "reports/"))]
    own = {path: md5 for path, md5 in md5s.items() if not path.startswith(("data/", "reports/"))}
    into = [Node("code:train", "code", "code of train", "", own), *files]
    return into, [Edge(node.id, run_id(run), INTO_TRAINING.get(node.label, "runs in")) for node in into]


def _file_edges(path: str, md5: str, prepared: str, run: Run) -> Parts:
    """The edges between a file and a run: whether it is an input or an output."""
    if path == RAW and prepared:
        edges = [
            Edge(file_id(md5), file_id(prepared), "split into"),
            Edge(file_id(prepared), run_id(run), "trained"),
        ]
        return [file_node(PREPARED, prepared)], edges
    if path != VALIDATION and path.startswith(("models/vae", "reports/")):
        return [], [Edge(run_id(run), file_id(md5), "made")]
    return [], [Edge(file_id(md5), run_id(run), INTO_TRAINING.get(path, "went into"))]


def _scores(client: MlflowClient, run: Run, row: int) -> dict[str, float]:
    """A run's scores of a test image; empty if the run has no table of scores or no row of this image."""
    with artifact_copy(client, run.info.run_id, SCORES) as file:
        table = pd.read_parquet(file) if file else pd.DataFrame({"image": []})
    found = table[table["image"] == row].drop(columns=["image", "label"], errors="ignore").dropna(axis="columns")
    return {name: round(float(values.iloc[0]), 6) for name, values in found.items() if len(values)}


def _splits(run: Run) -> dict[str, Any]:
    """Rows and digests of the run's splits, by name."""
    for item in run.inputs.dataset_inputs if run.inputs else []:
        return json.loads(item.dataset.profile or "{}")
    return {}


def _join(parts: Sequence[Parts]) -> Parts:
    return [node for nodes, _ in parts for node in nodes], [edge for _, edges in parts for edge in edges]
