import pytest
from conftest import ROOT
from ruamel.yaml import YAML

from vaeline.data.sources import SOURCES
from vaeline.data.statistics import image_statistics
from vaeline.errors import VaelineError
from vaeline.validation.checkpoint import validate
from vaeline.validation.profile import make_profile, profile_path, read_profile, write_profile


@pytest.mark.parametrize("name", [*SOURCES, "digits"])
def test_every_known_data_set_has_a_profile_of_its_name(name):
    profile = read_profile(ROOT / profile_path("auto", name))
    assert profile.name == name
    assert set(profile.rows) == {"train", "validation", "test", "source", "all"}


def test_a_made_profile_is_read_back_and_fits_the_data_it_came_from(prepared, tmp_path):
    table = image_statistics(prepared.splits)
    made = make_profile(table, "mine")
    write_profile(made, tmp_path / "mine.yaml")
    assert read_profile(tmp_path / "mine.yaml") == made
    assert validate(table, made, tmp_path / "docs").passed
    assert made.rows["train"] == [1372, 1372]
    assert made.every_image["max"][1] == 255.0


def test_a_missing_profile_says_how_to_make_one(tmp_path):
    with pytest.raises(VaelineError, match="vaeline profile PATH --name shapes"):
        read_profile(tmp_path / "shapes.yaml")


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("every_image", {"mean": [0, 1]}, "bands of min, max"),
        ("class_share", [0.1], "class_share"),
        ("leeks", 0.0, "leeks"),
        ("classes", 9, "one band for each of 9 classes"),
    ],
)
def test_a_profile_without_all_its_thresholds_is_refused(tmp_path, key, value, sentence):
    content = YAML(typ="safe").load((ROOT / "data/profiles/digits.yaml").read_text())
    with (tmp_path / "x.yaml").open("w") as stream:
        YAML().dump(content | {key: value}, stream)
    with pytest.raises(VaelineError, match=sentence):
        read_profile(tmp_path / "x.yaml")
