"""A state of the pipeline: what a commit or the working tree records of its model, and the available files."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from vaeline.artifacts import digest
from vaeline.errors import VaelineError
from vaeline.outputs import FIGURES, METRICS, MODEL
from vaeline.params.base import PARAMS_FILE, flatten, require_sections
from vaeline.params.yaml_text import parse_yaml
from vaeline.tracking.git import commit_trees, git
from vaeline.tracking.locks import LOCK_FILE, Stages, outs, read_lock
from vaeline.tracking.trees import Tree, cached_tree, disk_tree, dvc_md5, read_file


@dataclass(frozen=True)
class PipelineState:
    """The stages of `dvc.lock`, the parameters by dotted key, and the committed metrics of a state.

    outputs: the recorded outputs by path, as far as the disk or DVC's cache has them.
    """

    name: str
    stages: Stages
    params: Mapping[str, Any]
    metrics: Mapping[str, Any]
    outputs: Mapping[str, Tree]

    def table(self, path: str) -> pd.DataFrame | None:
        """A CSV or Parquet output as a table; None if it is not available."""
        tree = self.outputs.get(path)
        if tree is None:
            return None
        read = pd.read_parquet if path.endswith(".parquet") else pd.read_csv
        return read(io.BytesIO(read_file(tree)))

    def document(self, path: str, member: str = "") -> Any:
        """A JSON output, or a JSON file in an output folder; None if it is not available."""
        content = self.outputs.get(path, {}).get(member)
        return None if content is None else json.loads(_bytes(content))

    def figures(self) -> dict[str, bytes]:
        """The figures of its stage `plot`, as PNG, by name."""
        return {Path(name).stem: _bytes(content) for name, content in self.outputs.get(FIGURES, {}).items()}

    @property
    def model_sha256(self) -> str:
        """SHA-256 of its model; empty if the model is not available."""
        content = self.outputs.get(MODEL, {}).get("")
        return digest(content) if isinstance(content, Path) else ""


def committed_state(revision: str) -> PipelineState:
    """The state of the commit `revision`, with the outputs that DVC's cache has.

    Raises:
        VaelineError: git does not have this commit, or the commit lacks dvc.lock, params.yaml or the metrics.
    """
    commit = git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if not commit:
        raise VaelineError(f"--base {revision}: git has no such commit here; fetch it, or name another")
    trees = commit_trees(commit, [str(LOCK_FILE), str(PARAMS_FILE), METRICS])
    held = {path: read_file(tree) for path, tree in trees.items() if tree is not None}
    name = commit[:7] if commit.startswith(revision) else f"{revision} ({commit[:7]})"
    if len(held) < len(trees):
        raise VaelineError(f"--base {name}: has no {' and no '.join(sorted(set(trees) - set(held)))}")
    return _state(name, held, {METRICS: {"": held[METRICS]}})


def present_state() -> PipelineState:
    """The state of the working tree.

    Raises:
        VaelineError: the pipeline has not run here.
    """
    files = [LOCK_FILE, PARAMS_FILE, Path(METRICS)]
    if missing := [str(file) for file in files if not file.is_file()]:
        raise VaelineError(f"no {' and no '.join(missing)} here; run `dvc repro` at the repository's root first")
    return _state("now", {str(file): file.read_bytes() for file in files}, None)


def _state(name: str, held: Mapping[str, bytes], committed: Mapping[str, Tree] | None) -> PipelineState:
    where = f"{name}: {PARAMS_FILE}"
    try:
        stages = read_lock(held[str(LOCK_FILE)])
        params = flatten(require_sections(parse_yaml(held[str(PARAMS_FILE)], where), where))
        metrics = json.loads(held[METRICS])
    except ValueError as error:
        raise VaelineError(f"{name}: dvc.lock, params.yaml or {METRICS} cannot be read ({error})") from None
    recorded = {path: md5 for stage in stages for path, md5 in outs(stages, stage).items()}
    found = {path: _available(path, md5, committed) for path, md5 in recorded.items()}
    return PipelineState(
        name, stages, params, metrics, {path: tree for path, tree in found.items() if tree is not None}
    )


def _available(path: str, md5: str, committed: Mapping[str, Tree] | None) -> Tree | None:
    """An output with this md5: from the working tree if `committed` is None, else from the commit or DVC's cache."""
    tree = disk_tree(Path(path)) if committed is None else committed.get(path)
    if tree is not None and dvc_md5(tree) == md5:
        return tree
    return cached_tree(md5)


def _bytes(content: bytes | Path) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()
