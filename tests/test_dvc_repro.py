import shutil
from pathlib import Path

import pytest
from conftest import ROOT
from ruamel.yaml import YAML

from vaeline.dvc_repro import apply_preset
from vaeline.errors import VaelineError
from vaeline.params.whole import read_params

PRESETS = sorted(file.stem for file in (ROOT / "presets").glob("*.yaml"))


def make_folder(path):
    shutil.copytree(ROOT / "presets", path / "presets")
    shutil.copy(ROOT / "params.yaml", path)
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(make_folder(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """The parameters after each of three presets."""
    found = []
    for name in ("resmlp-40d-vamp", "autoencoder", "conv-2d"):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(make_folder(tmp_path_factory.mktemp(name)))
            apply_preset(name)
            found.append(Path("params.yaml").read_text())
    return found


def test_the_committed_parameters_are_those_of_the_default_preset():
    read = YAML(typ="safe").load
    default = read((ROOT / "presets/default.yaml").read_text())
    parameters = read((ROOT / "params.yaml").read_text())
    compute = {key: parameters["compute"][key] for key in ("device", "precision")}  # a machine has its own others
    assert default == {section: parameters[section] for section in ("classify", "model", "train")} | {
        "compute": compute
    }


@pytest.mark.parametrize("name", PRESETS)
def test_nothing_of_an_earlier_preset_stays(folder, earlier, name):
    apply_preset(name)
    alone = read_params()
    for params in earlier:
        Path("params.yaml").write_text(params)
        apply_preset(name)
        assert read_params() == alone


@pytest.mark.parametrize(("name", "draws"), [("full", 5000), ("pictures", 100)])
def test_a_preset_of_the_evaluation_leaves_the_model_and_can_be_undone(folder, name, draws):
    apply_preset("mlp-20d")
    everyday = read_params()
    apply_preset(f"evaluation/{name}")
    assert read_params().model == everyday.model
    assert read_params().evaluate.nll_samples == draws
    apply_preset("evaluation/everyday")
    assert read_params() == everyday


def test_an_unknown_preset_names_the_others(folder):
    before = Path("params.yaml").read_text()
    with pytest.raises(VaelineError, match="no preset 'huge'; the presets are: autoencoder, conv-2d"):
        apply_preset("huge")
    assert Path("params.yaml").read_text() == before
