"""What dvc.yaml says of its stages, read with the values of params.yaml."""

import pytest
from conftest import ROOT
from ruamel.yaml import YAML

from vaeline import outputs
from vaeline.errors import VaelineError
from vaeline.stages import Stage, made_deps, makers, own_deps, read_stages, stages_up_to


def write(root, **files):
    for name, content in files.items():
        YAML().dump(content, root / f"{name}.yaml")


def test_a_parameter_in_a_path_has_its_value(tmp_path):
    stage = {
        "cmd": "python ${model.kind}.py --side ${data.side}",
        "deps": ["kinds/${model.kind}", {"own": {"hash": "md5"}}],
        "params": ["model"],
        "outs": ["models/${model.kind}.keras"],
        "metrics": [{"metrics.json": {"cache": False}}],
        "meta": {"run_folder": "training"},
    }
    write(
        tmp_path, dvc={"stages": {"train": stage}}, params={"model": {"kind": "vae", "beta": 1}, "data": {"side": 28}}
    )
    (found,) = read_stages(tmp_path).values()
    assert found == Stage(
        command="python vae.py --side 28",
        deps=("kinds/vae", "own"),
        params=("model",),
        outs=("models/vae.keras", "metrics.json"),
        run_folder="training",
    )
    assert found.values({"model.kind": "vae", "models": 1, "data.side": 28}) == {"model.kind": "vae"}
    write(tmp_path, params={"model": {}})
    with pytest.raises(VaelineError, match=r"uses the parameter 'model\.kind', but params\.yaml does not have it"):
        read_stages(tmp_path)


def test_the_pipeline_of_this_repository():
    stages = read_stages(ROOT)
    assert makers(stages)["models/vae.keras"] == "train"
    assert makers(stages)["reports/metrics.json"] == "evaluate"
    assert stages_up_to(stages, "train") == ["fetch", "prepare", "validate", "train"]
    assert stages_up_to(stages, "fetch") == ["fetch"]
    assert made_deps(stages, "train") == [outputs.PREPARED, outputs.VALIDATION]
    named = {value for name, value in vars(outputs).items() if name.isupper()}
    assert named <= makers(stages).keys(), "a stage makes each output that code asks for by name"
    assert own_deps(stages, ["prepare"])[:1] == ["data/accepted"]
    assert "src/vaeline/models/kinds/vae" in own_deps(stages, ["train"])
    assert not [path for stage in stages.values() for path in stage.deps if "$" in path]
