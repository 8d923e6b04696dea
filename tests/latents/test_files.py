import numpy as np
import pandas as pd
import pytest

from vaeline.errors import VaelineError
from vaeline.latents.files import read_latents, write_latents

Z_MEAN = np.random.default_rng(0).normal(size=(3, 2)).astype("float32")
NAMES = ("a.png", "b, c.png", "d\ne.png")


@pytest.mark.parametrize("name", ["latents.npy", "latents.npz"])
def test_latents_come_back_from_either_kind_of_file(tmp_path, name):
    written = write_latents(tmp_path / name, NAMES, Z_MEAN, Z_MEAN - 1)
    assert all(file.is_file() for file in written)
    np.testing.assert_array_equal(read_latents(tmp_path / name, 2), Z_MEAN)


def test_an_npz_holds_everything_and_beside_an_npy_stand_the_names(tmp_path):
    write_latents(tmp_path / "a.npz", NAMES, Z_MEAN, Z_MEAN - 1)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["z_log_var"], Z_MEAN - 1)
        assert tuple(archive["names"]) == NAMES
    _, table = write_latents(tmp_path / "a.npy", NAMES, Z_MEAN, Z_MEAN - 1)
    assert table.name == "a.names.csv"
    assert tuple(pd.read_csv(table)["image"]) == NAMES


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        ("x.npy", Z_MEAN[:, :1], r"float32 of shape \(3, 1\), expected numbers \(count, 2\)"),
        ("x.npy", Z_MEAN[0], r"shape \(2,\)"),
        ("x.npy", Z_MEAN[:0], r"shape \(0, 2\)"),
        ("x.npy", Z_MEAN.astype(str), "of shape"),
        ("x.npy", np.full((1, 2), np.inf), "NaN or infinite"),
        ("x.npy", np.array([[{}, {}]]), "not a readable file of latents"),
        ("x.npz", Z_MEAN, "not a readable file of latents"),
    ],
)
def test_other_files_are_refused(tmp_path, name, values, sentence):
    np.save(tmp_path / "x.npy", values)
    (tmp_path / "x.npy").rename(tmp_path / name)
    with pytest.raises(VaelineError, match=sentence):
        read_latents(tmp_path / name, 2)


def test_a_missing_file_and_an_npz_of_something_else_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", images=Z_MEAN)
    with pytest.raises(VaelineError, match="not a readable file"):
        read_latents(tmp_path / "x.npz", 2)
    with pytest.raises(VaelineError, match="no such file; `vaeline encode` writes"):
        read_latents(tmp_path / "y.npy", 2)
