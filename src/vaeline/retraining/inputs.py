"""The inputs of a training: those of the files here, and those that the `dvc.lock` of an earlier training recorded."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vaeline.artifacts import canonical_json, digest
from vaeline.data.accepted import ACCEPTED
from vaeline.stages import own_deps, read_stages, read_values, stages_up_to
from vaeline.tracking.lineage import ENVIRONMENT_LOCK
from vaeline.tracking.locks import Stages, code, params
from vaeline.tracking.programs import TRAIN, code_paths, program_digest, recorded_programs
from vaeline.tracking.trees import disk_tree, dvc_md5

DATA, CODE, PARAMS, DEPENDENCIES = "data", "code", "params", "dependencies"


@dataclass(frozen=True)
class TrainingInputs:
    """The inputs of the stages up to `train`.

    files: DVC's md5 by path.
    params: the parameters by dotted key.
    commands: the command of each stage.
    environment: SHA-256 of the environment lock.
    batches: SHA-256 of the rows of each accepted batch.
    programs: digests of code by path, which comments, docstrings and layout do not change. Unknown ones are left out.
    """

    files: Mapping[str, str]
    params: Mapping[str, Any]
    commands: Mapping[str, str]
    environment: str
    batches: Sequence[str]
    programs: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of the inputs that decide what a training learns. Accepted batches count by their rows alone."""
        files = {path: self.programs.get(path, md5) for path, md5 in self.files.items() if Path(path) != ACCEPTED}
        content = [files, self.params, self.commands, self.environment, list(self.batches)]
        return hashlib.sha256(canonical_json(content, decimals=12).encode()).hexdigest()


@dataclass(frozen=True)
class Change:
    """A change of the inputs: its kind, and a sentence."""

    kind: str
    sentence: str


def present_inputs() -> TrainingInputs:
    """The inputs of a training in the working directory now. Raises VaelineError if params.yaml is wrong."""
    stages, values = read_stages(), read_values()
    names = stages_up_to(stages, TRAIN)
    files = {path: present_md5(Path(path)) for path in own_deps(stages, names)}
    trees = {path: disk_tree(Path(path)) for path in code_paths(files)}
    return TrainingInputs(
        files=files,
        params={key: value for name in names for key, value in stages[name].values(values).items()},
        commands={name: stages[name].command for name in names},
        environment=digest(ENVIRONMENT_LOCK),
        batches=accepted_batches(),
        programs={path: program_digest(path, tree) for path, tree in trees.items() if tree is not None},
    )


def recorded_inputs(stages: Stages, tags: Mapping[str, str], commits: Iterable[str] = ()) -> TrainingInputs:
    """The inputs of a recorded training, without its batches, which are not recorded.

    stages: the stages of its `dvc.lock`.
    tags: the tags of its run, with the digests of the environment and the programs.
    commits: commits that may have its code. They are read for programs that the tags do not name.
    """
    names = [name for name in stages_up_to(read_stages(), TRAIN) if name in stages]
    files = {path: md5 for name in names for path, md5 in code(stages, name).items()}
    return TrainingInputs(
        files=files,
        params=params(stages, *names),
        commands={name: stages[name]["cmd"] for name in names},
        environment=tags.get("vaeline.environment_sha256", ""),
        batches=[],
        programs=recorded_programs(files, tags, commits),
    )


def changes(then: TrainingInputs, now: TrainingInputs) -> list[Change]:
    """The differences between the inputs of two trainings, at most one of each kind."""
    return [*_file_changes(then, now), *_param_changes(then, now), *_environment_changes(then, now)]


def accepted_batches(folder: Path = ACCEPTED) -> list[str]:
    """SHA-256 of the rows of every accepted batch, sorted. Who accepted a batch, and when, does not count."""
    records = (json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*.json"))
    return sorted(record["kept_sha256"] for record in records)


def present_md5(path: Path) -> str:
    """DVC's md5 of a file or folder; empty if there is none."""
    tree = disk_tree(path)
    return "" if tree is None else dvc_md5(tree)


def _differs(then: TrainingInputs, now: TrainingInputs, path: str) -> bool:
    """Whether a file differs: by its program if both sides know it, else by its md5."""
    if path in then.programs and path in now.programs:
        return then.programs[path] != now.programs[path]
    return then.files.get(path, "") != now.files.get(path, "")


def _file_changes(then: TrainingInputs, now: TrainingInputs) -> Iterator[Change]:
    paths = sorted(path for path in {*then.files, *now.files} if _differs(then, now, path))
    data = [path for path in paths if Path(path).is_relative_to("data")]
    if data:
        count = len(now.batches)
        held = f"; {ACCEPTED} holds {count} {'batch' if count == 1 else 'batches'}" if str(ACCEPTED) in data else ""
        yield Change(DATA, f"data changed since the champion's training: {', '.join(data)}{held}")
    commands = {name for name in {*then.commands, *now.commands} if then.commands.get(name) != now.commands.get(name)}
    if changed := [path for path in paths if path not in data] + sorted(f"the stage {name}" for name in commands):
        yield Change(CODE, f"code changed since the champion's training: {', '.join(changed)}")


def _param_changes(then: TrainingInputs, now: TrainingInputs) -> Iterator[Change]:
    keys = sorted({*then.params, *now.params})
    changed = [
        f"{key} was {then.params.get(key)}, is {now.params.get(key)}"
        for key in keys
        if then.params.get(key) != now.params.get(key)
    ]
    if changed:
        yield Change(PARAMS, f"parameters changed since the champion's training: {'; '.join(changed)}")


def _environment_changes(then: TrainingInputs, now: TrainingInputs) -> Iterator[Change]:
    if then.environment != now.environment:
        yield Change(DEPENDENCIES, f"{ENVIRONMENT_LOCK} changed since the champion's training")
