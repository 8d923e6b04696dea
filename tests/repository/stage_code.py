"""Which files of `src` each stage of dvc.yaml must depend on: exactly those that it imports.

`python tests/repository/stage_code.py`, at the repository's root, writes them into dvc.yaml (`make deps`).
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from repository.import_closure import SOURCE, has_code, import_closure

from vaeline.topics import TOPICS

PIPELINE = Path("dvc.yaml")
TRACKING = "vaeline/tracking"
WATCHED_ONLY = {  # these import the tracking package, which cannot change what they write
    "train": "observes: the train key names the checkpoint's folder, the rest goes to MLflow",
    "evaluate": "records the metrics after they are written",
    "plot": "records the figures after they are written",
}
FINDER = SOURCE / "vaeline/kinds.py"  # what imports it imports one kind of model and one likelihood, by their names
KINDS, LIKELIHOODS = SOURCE / "vaeline/models/kinds", SOURCE / "vaeline/models/likelihoods"
CHOSEN = {f"{KINDS}/${{model.kind}}", f"{LIKELIHOODS}/${{model.likelihood}}.py"}
PARTS = {"groups": "measure", "plots": "figure"}  # these modules import this part of every topic, by its name
WHOLE = {"register": ("pyfunc",)}  # MLflow copies files of this package by their path, which no import shows


def stage_code(stage: str) -> set[str]:
    """The dependencies of a stage below `src`, as dvc.yaml writes them."""
    leave_out = (TRACKING,) if stage in WATCHED_ONLY else ()
    reached = import_closure(Path(f"pipeline/{stage}.py"), leave_out=leave_out)
    parts = [part for module, part in PARTS.items() if SOURCE / f"vaeline/{module}.py" in reached]
    named = {file for topic in TOPICS for part in parts for file in (SOURCE / "vaeline" / topic).glob(f"{part}.py")}
    reached |= named | import_closure(*named, leave_out=leave_out)
    chosen = set()
    if FINDER in reached:
        reached |= import_closure(*chosen_files(), leave_out=leave_out)
        chosen = CHOSEN
    packages = {str(SOURCE / "vaeline" / name) for name in WHOLE.get(stage, ())}
    files = {file for file in reached - set(chosen_files()) if has_code(file)}
    single = {str(file) for file in files if not any(file.is_relative_to(package) for package in packages)}
    return single | packages | chosen


def chosen_files() -> list[Path]:
    """The files of all kinds and of all likelihoods, of which a stage depends on those that params.yaml names."""
    return [*KINDS.rglob("*.py"), *LIKELIHOODS.glob("*.py")]


def with_deps(text: str, code: Mapping[str, set[str]]) -> str:
    """The text of a dvc.yaml with other dependencies below `src` for each stage; all else stays as it is."""
    parts = re.split(r"^(?=  \w+:$)", text, flags=re.MULTILINE)
    return "".join(_with_deps(part, code.get(part.strip().partition(":")[0], set())) for part in parts)


def _with_deps(stage: str, code: set[str]) -> str:
    found = re.search(r"^    deps:\n((?:      - .*\n)+)", stage, re.MULTILINE)
    if found is None or not code:
        return stage
    others = {dep for dep in re.findall(r"- (.*)", found[1]) if not dep.startswith("src/")}
    listed = "".join(f"      - {dep}\n" for dep in sorted(others | code))
    return stage.replace(found[1], listed)


if __name__ == "__main__":
    before = PIPELINE.read_text(encoding="utf-8")
    stages = re.findall(r"python pipeline/(\w+)\.py", before)
    PIPELINE.write_text(with_deps(before, {stage: stage_code(stage) for stage in stages}), encoding="utf-8")
