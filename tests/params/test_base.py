"""One section read by itself: strict in its own keys, blind to the others."""

import pytest

from vaeline.errors import VaelineError
from vaeline.params.base import read_section
from vaeline.params.data import DataParams
from vaeline.params.train import TrainParams


def test_a_section_is_read_whatever_the_others_hold(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text(
        "data: {dataset: x.npz, image: {height: auto, width: 8, channels: 1, fit: pad, background: auto, ink: auto}, "
        "good: good, unreadable: 0, limits: {pixels: 9, bytes: 9, images: 9, files: 9}, groups: '', "
        "near_duplicates: 3, validation_one_in: 2, test_one_in: 2, seed: 1, hold_back: 0, anomalies: []}"
    )
    assert read_section("data", DataParams, file).name == "x"
    with pytest.raises(VaelineError, match="key 'train' is missing"):
        read_section("train", TrainParams, file)


@pytest.mark.parametrize("value", ["many", "17", "-1", "0.5"])
def test_a_distance_of_duplicates_is_auto_true_false_or_a_number_of_bits(tmp_path, value):
    file = tmp_path / "params.yaml"
    file.write_text(f"data: {{near_duplicates: {value}}}")
    with pytest.raises(VaelineError, match=r"data\.near_duplicates"):
        read_section("data", DataParams, file)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("data: {datset: x}", "unknown key 'data.datset'; did you mean 'dataset'?"),
        ("data: {seed: -1}", "data.seed: Input should be greater than or equal to 0"),
        ("data: [1]", "data: expected a section of keys and values"),
        ("data: {dataset: x, dataset: y}", "not YAML: .*duplicate key"),
        ("", "expected sections of keys and values"),
    ],
)
def test_an_error_names_the_section(tmp_path, line, sentence):
    file = tmp_path / "params.yaml"
    file.write_text(line)
    with pytest.raises(VaelineError, match=sentence):
        read_section("data", DataParams, file)
