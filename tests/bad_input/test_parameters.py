"""Wrong params.yaml: each line of it, the whole file, and values that YAML reads in another way than meant."""

import shutil
from pathlib import Path

import pytest
from bad_input.refusal import check_raises, check_refused, tree
from conftest import ROOT

from vaeline.data.sources import MNIST_IMAGE
from vaeline.errors import VaelineError
from vaeline.params.whole import change_params, read_params
from vaeline.restoration.measure import require_box

CHANGES = [
    ("data.datset", "digits", ("unknown key 'data.datset'", "did you mean 'dataset'")),
    ("data.dataset", "", ("data.dataset",)),
    ("data.dataset", 5, ("data.dataset", "valid string", "got 5")),
    ("data.dataset", "http://x/y.npz", ("data.dataset: is an address", "data/own")),
    ("data.image.height", 7, ("data.image.height", "greater than or equal to 8")),
    ("data.image.width", 257, ("data.image.width", "less than or equal to 256")),
    ("data.image.channels", 2, ("data.image.channels",)),
    ("data.image.fit", "zoom", ("data.image.fit", "'pad', 'crop' or 'stretch'")),
    ("data.image.background", "#80808", ("data.image.background",)),
    ("data.image.tile", "yes", ("data.image.tile", "valid boolean")),
    ("data.unreadable", -1, ("data.unreadable",)),
    ("data.limits.pixels", 0, ("data.limits.pixels",)),
    ("data.limits.bytes", 1.5, ("data.limits.bytes", "valid integer")),
    ("data.limits.rows", 5, ("unknown key 'data.limits.rows'", "images")),
    ("data.limits", 5, ("data.limits: expected a section of keys and values",)),
    ("data.near_duplicates", 17, ("data.near_duplicates",)),
    ("data.test_one_in", 1, ("data.test_one_in",)),
    ("data.anomalies", "kmnist", ("data.anomalies", "valid list")),
    ("ingest.source", "https://user:secret@host/x", ("ingest.source: has a user, a password or a query",)),
    ("ingest.false_alarms", 1.0, ("ingest.false_alarms", "less than 1")),
    ("ingest.limits.fetched", "4 GB", ("ingest.limits.fetched", "valid integer")),
    ("validate.profile", None, ("validate.profile",)),
    ("classify.epochs", 0, ("classify.epochs",)),
    ("classify.learning_rate", float("nan"), ("classify.learning_rate", "finite number")),
    ("model.kind", "gan", ("model.kind", "'gan'")),
    ("model.latent_dim", True, ("model.latent_dim", "valid integer")),
    ("model.beta", float("inf"), ("model.beta", "finite number")),
    ("model.dropout", 1.0, ("model.dropout", "less than 1")),
    ("model.prior", "vamp", ("model.prior: expected a section of keys and values", "'vamp'")),
    ("train.epochs", 2.5, ("train.epochs", "valid integer")),
    ("train.batch_size", "128", ("train.batch_size", "valid integer", "'128'")),
    ("train.learning_rate", 0.0, ("train.learning_rate", "greater than 0")),
    ("train.optimizer", "sgd", ("train.optimizer", "'adam' or 'adamw'")),
    ("train.corruption.size", float("-inf"), ("train.corruption.size",)),
    ("evaluate.box", 300, ("evaluate.box", "less than or equal to 256")),
    ("evaluate.noise_levels", [], ("evaluate.noise_levels", "at least 1 item")),
    ("evaluate.noise_levels", [-0.1], ("evaluate.noise_levels.0", "greater than or equal to 0")),
    ("plot.columns", 0, ("plot.columns",)),
    ("gate.metric", "nll_bond", ("gate.metric", "did you mean 'nll_bound'")),
    ("gate.ood_score", "one_clas", ("gate.ood_score", "did you mean 'one_class'")),
    ("gate.worst", float("inf"), ("gate.worst", "finite number")),
    ("gate.floors.kl", float("nan"), ("gate.floors.kl",)),
    ("gate.floors.auroc", 80, ("gate.floors.auroc", "less than or equal to 1")),
    ("registry.report_days", 0.0, ("registry.report_days",)),
    ("monitor.k", 4, ("monitor",)),
    ("retrain.quiet_days", 1.0, ("retrain.quiet_days",)),
    ("compute.device", "tpu", ("compute.device", "'auto', 'cpu' or 'gpu'")),
    ("compute.threads", 10**400, ("compute.threads",)),
    ("train.seed", 2**31, ("train.seed", "less than or equal to 2147483647")),
    ("computr.threads", 1, ("no section 'computr'", "did you mean 'compute'")),
]
DEEP = f"data: {'[' * 100}{']' * 100}"
FILES = {
    "an empty file": ("", ("expected a section of keys and values", "None")),
    "a list": ("- data\n- model\n", ("expected a section of keys and values",)),
    "one word": ("data", ("expected a section of keys and values", "'data'")),
    "a section that is a list": ("data: [1]\n", ("data: expected a section of keys and values",)),
    "no sections": ("{}", ("key 'data' is missing", "more")),
    "a key twice": ("data: {seed: 1, seed: 2}", ("not YAML", 'duplicate key "seed"', "line 1")),
    "an open list": ("data: [", ("not YAML",)),
    "a tab": ("data:\n\tseed: 1\n", ("not YAML", "line 2")),
    "two documents": ("a: 1\n---\nb: 2\n", ("not YAML", "another document")),
    "a program": (
        "data: !!python/object/apply:os.system [ls]\n",
        ("the tag '!!python/object/apply:os.system'", "line 1"),
    ),
    "a tag": ("data: !mine {seed: 1}\n", ("the tag '!mine' in line 1 is not read; leave it out",)),
    "bytes": ("data: !!binary aGk=\n", ("the tag '!!binary'",)),
    "an alias of itself": ("data: &a [*a]\n", ("the alias *a stands for itself or for nothing",)),
    "an unknown alias": ("data: *a\n", ("the alias *a stands for itself or for nothing",)),
    "lists in lists": (DEEP, ("more than 50 lists and sections in one another",)),
    "a date that is none": ("data: 2026-13-45\n", ("not YAML", "month must be in 1..12")),
    "a long number": (f"data: {'1' * 5000}\n", ("not YAML",)),
    "a NUL": ("data: \0\n", ("not YAML",)),
    "a key that is a list": ("? [data]\n: 1\n", ("key 'data' is missing",)),
    "a key that is a section": ("? {data: 1}\n: 1\n", ("not YAML", "unhashable key")),
    "a number as a key": ("1: 2\n", ("key 'data' is missing",)),
    "another version of YAML": ("%YAML 9.9\n---\na\n", ("not YAML", "incompatible YAML document")),
    "a long value": (f"data: {'x' * 10_000}\n", ("data: expected a section",)),
    "an enormous file": (f"data: {'x' * 4_000_001}\n", ("characters; at most 4,000,000",)),
}


@pytest.fixture
def params_file(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path))


@pytest.mark.parametrize(
    ("key", "value", "words"), CHANGES, ids=[f"{key}: {str(value)[:20]}" for key, value, _ in CHANGES]
)
def test_a_wrong_value_is_refused(params_file, key, value, words):
    before = tree(params_file.parent)
    check_raises(lambda: change_params({key: value}, params_file), ("params.yaml: ", *words), VaelineError)
    assert tree(params_file.parent) == before


@pytest.mark.parametrize(("content", "words"), FILES.values(), ids=FILES)
def test_a_wrong_file_is_refused(tmp_path, content, words):
    (tmp_path / "params.yaml").write_text(content, encoding="utf-8")
    check_raises(lambda: read_params(tmp_path / "params.yaml"), ("params.yaml: ", *words), VaelineError)
    check_raises(lambda: change_params({"data.seed": 2}, tmp_path / "params.yaml"), ("params.yaml: ",), VaelineError)


def test_billions_of_aliases_are_refused_by_all_that_read_the_file(tmp_path, some_yaml, monkeypatch):
    (tmp_path / "params.yaml").write_text(some_yaml)
    words = ("params.yaml: more than 200,000 values, aliases (*) included",)
    for line in (
        "run",
        "retrain",
        "ingest",
        "gate 1",
        "promote 1",
        "monitor x",
        "simulate clean --out x.npz",
        "history",
    ):
        check_refused(tmp_path, line.split(), words, monkeypatch)


def test_what_is_no_text_and_no_file_is_refused(tmp_path):
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\xfa")
    check_raises(lambda: read_params(tmp_path / "params.yaml"), ("not text in UTF-8",), VaelineError)
    (tmp_path / "folder").mkdir()
    check_raises(lambda: read_params(tmp_path / "folder"), ("a folder lies where the file should be",), VaelineError)
    check_raises(lambda: read_params(tmp_path / "none"), ("not found; run from the repository's root",), VaelineError)


def test_a_hole_as_large_as_an_image_is_refused_before_anything_is_scored(params):
    asked = params.evaluate.model_copy(update={"box": 28})
    check_raises(lambda: require_box(asked, MNIST_IMAGE), ("evaluate.box: 28 pixels", "at most 27"), VaelineError)
    require_box(params.evaluate, MNIST_IMAGE)


def test_a_misspelt_alteration_is_refused_before_a_candidate_is_looked_for(bench, prepared_directory, monkeypatch):
    shutil.copytree(prepared_directory, bench / "data/prepared", dirs_exist_ok=True)
    change_params({"gate.measured_on": "digits", "gate.ood_kind": "hflp"}, bench / "params.yaml")
    check_refused(bench, ["gate", "1"], ("gate.ood_kind: no such alteration", "did you mean 'hflip'"), monkeypatch)
    change_params({"gate.ood_kind": "hflip"}, bench / "params.yaml")
