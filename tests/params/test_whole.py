import re
from pathlib import Path

import pytest
from conftest import ROOT

from vaeline.errors import VaelineError
from vaeline.params.whole import change_params, read_params


@pytest.fixture
def params_file(tmp_path: Path) -> Path:
    copy = tmp_path / "params.yaml"
    copy.write_text((ROOT / "params.yaml").read_text())
    return copy


@pytest.mark.parametrize(
    ("line", "replacement", "sentence"),
    [
        ("latent_dim: 2", "latnt_dim: 2", "unknown key 'model.latnt_dim'; did you mean 'latent_dim'?"),
        ("train:", "trian:", "unknown key 'trian'; did you mean 'train'?"),
        ("beta: 1.0", "beta: much", "model.beta"),
        ("beta: 1.0", "beta: -1.0", "model.beta"),
        ("epochs: 24", "epochs: 2.5", "train.epochs"),
        ("architecture: resmlp", "architecture: transformer", "'resconv' or 'resmlp'"),
        ("kind: vae ", "kind: autoencodr ", "no such model; did you mean 'autoencoder'?"),
        ("likelihood: bernoulli", "likelihood: gaussian\n  binarize: true", "DuplicateKeyError|duplicate key"),
    ],
)
def test_a_wrong_key_or_value_is_refused_and_named(params_file, line, replacement, sentence):
    params_file.write_text(params_file.read_text().replace(line, replacement, 1))
    with pytest.raises(VaelineError, match=sentence):
        read_params(params_file)


@pytest.mark.parametrize("change", [{"gate.ood_kind": "defects"}, {"gate.ood_score": "heat_map"}])
def test_defects_and_heat_maps_need_each_other(params_file, change):
    with pytest.raises(VaelineError, match="ood_kind: defects and ood_score: heat_map need each other"):
        change_params(change, params_file)
    change_params({"gate.ood_kind": "defects", "gate.ood_score": "heat_map"}, params_file)


def test_binary_pixels_need_a_bernoulli(params_file):
    with pytest.raises(VaelineError, match="binarize: true needs likelihood: bernoulli"):
        change_params({"model.likelihood": "gaussian", "model.binarize": True}, params_file)


@pytest.mark.parametrize(
    ("kind", "prior", "sentence"),
    [("vae", "label", "prior.kind: label needs kind: cvae"), ("cvae", "vamp", "cannot use prior.kind: vamp")],
)
def test_a_prior_that_does_not_fit_the_kind_is_refused(params_file, kind, prior, sentence):
    with pytest.raises(VaelineError, match=sentence):
        change_params({"model.kind": kind, "model.prior.kind": prior}, params_file)
    change_params({"model.kind": "cvae", "model.prior.kind": "label"}, params_file)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model.kind": "vqvae"}, "kind: vqvae needs prior.kind: autoregressive"),
        ({"model.prior.kind": "autoregressive"}, "prior.kind: autoregressive, the prior over codes, needs kind: vqvae"),
        ({"model.kind": "vqvae", "model.prior.kind": "autoregressive"}, "set architecture: conv or resconv"),
        ({"model.codebook.restart_below": 1.0}, "restart_below"),
        ({"model.codebook.cods": 8}, "unknown key 'model.codebook.cods'; did you mean 'codes'"),
    ],
)
def test_a_grid_of_codes_needs_what_it_needs(params_file, changes, sentence):
    with pytest.raises(VaelineError, match=sentence):
        change_params(changes, params_file)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model.codebok.codes": 8}, "unknown key 'model.codebok'; did you mean 'codebook'"),
        ({"model.codebok": 8}, "unknown key 'model.codebok'"),
        ({"model.likelihood": "gausian"}, "no such likelihood; did you mean 'gaussian'"),
    ],
)
def test_a_section_or_likelihood_that_nothing_has_is_refused(params_file, changes, sentence):
    with pytest.raises(VaelineError, match=sentence):
        change_params(changes, params_file)


def test_a_kind_needs_its_own_section_and_others_do_not(params_file):
    content = re.sub(r"(?m)^  iwae:\n(?:    .*\n)+", "", params_file.read_text())
    params_file.write_text(content)
    assert read_params(params_file).model.kind == "vae"
    with pytest.raises(VaelineError, match=r"key 'model\.iwae' is missing"):
        change_params({"model.kind": "iwae"}, params_file)
    change_params({"model.kind": "iwae", "model.iwae.samples": 3, "model.iwae.estimator": "plain"}, params_file)
    assert type(read_params(params_file).model).__name__ == "IWAEModelParams"


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(VaelineError, match="not found; run from the repository's root"):
        read_params(tmp_path / "params.yaml")


def test_params_cannot_be_changed_after_reading(params):
    with pytest.raises(ValueError, match="frozen"):
        params.model.beta = 3.0


def test_changing_a_value_keeps_comments_and_every_other_line(params_file):
    before = params_file.read_text().splitlines()
    change_params({"data.dataset": "digits"}, params_file)
    changed = [(old, new) for old, new in zip(before, params_file.read_text().splitlines(), strict=True) if old != new]
    assert len(changed) == 1
    assert changed[0][1].startswith("  dataset: digits ")
    assert "# mnist," in changed[0][1]
    assert read_params(params_file).data.dataset == "digits"


@pytest.mark.parametrize("change", [{"data.datset": "digits"}, {"dta.dataset": "digits"}, {"data.seed": "x"}])
def test_a_wrong_change_leaves_the_file_as_it_was(params_file, change):
    before = params_file.read_text()
    with pytest.raises(VaelineError):
        change_params(change, params_file)
    assert params_file.read_text() == before


def test_a_path_is_named_after_its_last_part(params):
    assert params.data.model_copy(update={"dataset": "data/own/My: Shapes.npz"}).name == "my-shapes"
