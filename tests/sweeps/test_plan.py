"""The file of a sweep, and the keys that name a sweep and its trials."""

import pytest
from ruamel.yaml import YAML

from vaeline.errors import VaelineError
from vaeline.params.base import flatten
from vaeline.sweeps.plan import read_plan, sweep_key, trial_key, with_values

PLAN = {
    "metric": "val_neg_elbo",
    "trials": 4,
    "at_once": 1,
    "seed": 1,
    "search": "optuna",
    "early_stopping": {"first_epoch": 2, "reduction": 2},
    "space": {
        "model.latent_dim": {"low": 2, "high": 16, "log": True},
        "model.architecture": {"choice": ["mlp", "resmlp"]},
        "train.learning_rate": {"low": 0.001, "high": 0.01},
    },
}
MANIFEST = {"splits": {"train": {"images_sha256": "a"}}}


def read(tmp_path, params, **changes):
    file = tmp_path / "sweep.yaml"
    YAML().dump(PLAN | changes, file)
    return read_plan(file, params)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"trails": 4}, r"unknown key 'trails'; did you mean 'trials'"),
        ({"trials": 0}, r"trials"),
        ({"search": "grid"}, r"'optuna' or 'random'"),
        ({"metric": "loss"}, r"one of validation images, such as val_neg_elbo"),
        ({"space": {}}, r"space"),
        (
            {"space": {"model.latent_dims": {"low": 1, "high": 2}}},
            r"cannot be searched; did you mean 'model.latent_dim'",
        ),
        ({"space": {"gate.min_gain": {"low": 1, "high": 2}}}, r"'gate.min_gain' cannot be searched"),
        ({"space": {"train.epochs": {"low": 3, "high": 3}}}, r"low must be less than high"),
        ({"space": {"model.beta": {"low": 0.0, "high": 1.0, "log": True}}}, r"log: true needs a low above 0"),
        ({"space": {"model.beta": {"low": 0.00012345, "high": 1.0}}}, r"at most 4 digits"),
        ({"space": {"model.beta": {"lowest": 1.0, "high": 2.0}}}, r"space.model.beta.lowest'; did you mean 'low'"),
        ({"space": {"model.beta": {"choice": [1.0, 0.123456]}}}, r"0.123456: a number has at most 4 digits"),
        ({"space": {"model.beta": 1.0}}, r"space.model.beta"),
        ({"space": {"model.architecture": {"choice": ["mlp"]}}}, r"space.model.architecture.choice"),
        ({"space": {"model.architecture": {"choice": ["mlp", "transformer"]}}}, r"model.architecture"),
        ({"space": {"model.beta": {"low": -1.0, "high": 1.0}}}, r"model.beta"),
    ],
)
def test_a_wrong_plan_is_refused_in_a_sentence(tmp_path, params, changes, sentence):
    with pytest.raises(VaelineError, match=sentence):
        read(tmp_path, params, **changes)


def test_a_trial_changes_its_values_alone(params):
    before = flatten(params.model_dump(by_alias=True))
    changed = flatten(with_values(params, {"model.prior.layers": 3, "train.epochs": 7}).model_dump(by_alias=True))
    assert {key for key in before if before[key] != changed[key]} == {"model.prior.layers", "train.epochs"}


def test_a_sweep_goes_on_with_more_trials_but_not_with_other_parameters(tmp_path, params):
    key = sweep_key(read(tmp_path, params), params, MANIFEST)
    assert key == sweep_key(read(tmp_path, params, trials=9, at_once=3), params, MANIFEST)
    others = (
        sweep_key(read(tmp_path, params, seed=2), params, MANIFEST),
        sweep_key(read(tmp_path, params), with_values(params, {"train.seed": 2}), MANIFEST),
        sweep_key(read(tmp_path, params), params, {"splits": {"train": {"images_sha256": "b"}}}),
    )
    assert len({key, *others}) == 4


def test_the_key_of_a_trial_does_not_depend_on_the_order_of_its_values():
    assert trial_key({"a": 0.000001, "b": 2}) == trial_key({"b": 2, "a": 0.000001})
    assert trial_key({"a": 0.000001, "b": 2}) != trial_key({"a": 0.000002, "b": 2})
