import json
from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from vaeline.retraining import inputs
from vaeline.retraining.inputs import CODE, TrainingInputs, changes, present_inputs, recorded_inputs
from vaeline.tracking.programs import program_tags

THEN = TrainingInputs(
    files={"data/accepted": "a", "pipeline/train.py": "b", "src/vaeline/models": "c"},
    params={"train.epochs": 24, "train.seed": 1},
    commands={"train": "python pipeline/train.py"},
    environment="e",
    batches=["one"],
)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"files": {**THEN.files, "data/accepted": "z"}}, "data", "data/accepted; data/accepted holds 1 batch"),
        ({"files": {**THEN.files, "pipeline/train.py": "z"}}, "code", "pipeline/train.py"),
        ({"files": {path: md5 for path, md5 in THEN.files.items() if "src" not in path}}, "code", "src/vaeline/models"),
        ({"files": {**THEN.files, "src/vaeline/new.py": "z"}}, "code", "src/vaeline/new.py"),
        ({"commands": {"train": "python -O pipeline/train.py"}}, "code", "the stage train"),
        ({"params": {"train.epochs": 30}}, "params", "train.epochs was 24, is 30; train.seed was 1, is None"),
        ({"environment": "z"}, "dependencies", "requirements.lock"),
    ],
)
def test_each_kind_of_change_is_told_by_name(change, kind, words):
    now = replace(THEN, **change)
    (found,) = changes(THEN, now)
    assert found.kind == kind
    assert words in found.sentence


def test_what_is_equal_is_no_change_and_several_changes_are_all_told():
    assert changes(THEN, replace(THEN)) == []
    both = replace(THEN, environment="z", params={"train.epochs": 24, "train.seed": 2})
    assert [change.kind for change in changes(THEN, both)] == ["params", "dependencies"]


def test_the_digest_is_of_the_rows_and_not_of_who_sent_them():
    recorded_again = replace(THEN, files={**THEN.files, "data/accepted": "z"})
    assert recorded_again.digest == THEN.digest
    assert replace(THEN, batches=["one", "two"]).digest != THEN.digest
    assert replace(THEN, params={**THEN.params, "train.seed": 2}).digest != THEN.digest
    assert replace(THEN, files={**THEN.files, "pipeline/train.py": "z"}).digest != THEN.digest


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A pipeline of three stages, of which two make a model."""
    monkeypatch.chdir(tmp_path)
    stages = {
        "prepare": {"cmd": "prepare", "deps": ["data/accepted", "code.py"], "params": ["data"], "outs": ["prepared"]},
        "train": {"cmd": "train", "deps": ["prepared", "code.py"], "params": ["train"], "outs": [{"m": {"cache": 0}}]},
        "plot": {"cmd": "plot", "deps": ["m", "plot.py"], "params": ["plot"], "outs": ["p"]},
    }
    YAML().dump({"stages": stages}, Path("dvc.yaml"))
    YAML().dump({"data": {"seed": 1}, "train": {"lr": 0.1}, "plot": {"size": 3}}, Path("params.yaml"))
    Path("requirements.lock").write_text("numpy")
    Path("code.py").write_text("1")
    Path("plot.py").write_text("1")
    Path("data/accepted").mkdir(parents=True)
    Path("data/accepted/README.md").write_text("batches")
    return tmp_path


def test_the_present_inputs_are_those_of_the_stages_up_to_train(project):
    found = present_inputs()
    assert set(found.files) == {"data/accepted", "code.py"}
    assert found.params == {"data.seed": 1, "train.lr": 0.1}
    assert set(found.commands) == {"prepare", "train"}
    (project / "plot.py").write_text("2")
    assert present_inputs() == found
    (project / "code.py").unlink()
    assert present_inputs().files["code.py"] == ""
    for when in (1, 2):
        record = {"kept_sha256": "rows", "when": when}
        (project / f"data/accepted/batch-{when}.json").write_text(json.dumps(record))
    assert present_inputs().batches == ["rows", "rows"]
    assert inputs.present_md5(Path("data/accepted")).endswith(".dir")


def test_a_recorded_training_is_read_from_its_lock(project):
    now = present_inputs()
    entry = {"cmd": "train", "deps": [{"path": "prepared", "md5": "p"}, {"path": "code.py", "md5": "old"}]}
    made = {"cmd": "prepare", "deps": [], "outs": [{"path": "prepared", "md5": "p"}]}
    lock = {"prepare": made, "train": entry | {"params": {"params.yaml": {"train": {"lr": 0.2}}}, "outs": []}}
    then = recorded_inputs(lock, {"vaeline.environment_sha256": "e"})
    assert then.files == {"code.py": "old"}, "what a stage makes is no input"
    kinds = [change.kind for change in changes(then, now)]
    assert kinds == ["data", "code", "params", "dependencies"]


TRAINED = 'def f(a):\n    """Old."""\n    return [a, 1]\n'


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (TRAINED, True),
        ("# new\ndef f(a):\n    return [\n        a,\n        1,  # one\n    ]\n", True),
        ("def f(a):\n    return [a, 2]\n", False),
    ],
    ids=["untouched", "reformatted", "changed"],
)
def test_code_is_judged_by_its_program_where_the_run_says_it_and_else_by_md5(project, text, same):
    (project / "code.py").write_text(TRAINED)
    trained, tags = present_inputs(), program_tags()
    dep = {"path": "code.py", "md5": trained.files["code.py"]}
    lock = {name: {"cmd": name, "deps": [dep], "params": {}, "outs": []} for name in ("prepare", "train")}
    (project / "code.py").write_text(text)
    now = present_inputs()
    assert (now.digest == trained.digest) == same
    for said, found in ((tags, same), ({}, text == TRAINED)):
        assert (CODE not in {change.kind for change in changes(recorded_inputs(lock, said), now)}) == found
