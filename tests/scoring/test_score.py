"""Tables of scores, and the folder that holds them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from vaeline.anomaly.one_class import fit_densities, image_statistics, scores_by_content
from vaeline.errors import VaelineError
from vaeline.evaluation.inference import encode
from vaeline.images.arrays import to_unit
from vaeline.scoring import score as module
from vaeline.scoring.inputs import find_inputs
from vaeline.scoring.outputs import Outputs
from vaeline.scoring.score import Rules, Scorer


@pytest.fixture
def scorer(small_model, digits):
    images = to_unit(digits.images[:200])
    statistics = image_statistics(small_model, images, np.arange(200), 1)
    return Scorer(small_model, Rules(fit_densities(statistics, 1), "one_class", 3.0, 1, invert=False, latents=True))


@pytest.fixture
def inputs(digits, tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    np.save(folder / "digits.npy", digits.images[:60])
    (folder / "broken.png").write_bytes(b"no picture")
    return find_inputs(str(folder))


def test_every_row_has_what_a_plain_loop_gives_and_one_that_is_broken_the_reason(scorer, inputs, digits, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 25)
    monkeypatch.setattr(module, "rows_at_once", lambda most, image: most)
    table = scorer.table(inputs, 0, len(inputs)).to_pandas()
    assert list(table["row"]) == list(range(61))
    assert table["input"][0] == "broken.png"
    assert "not a PNG" in table["reason"][0]
    assert table.loc[0].drop(["row", "input", "reason"]).isna().all()
    images = to_unit(digits.images[:60])
    expected = scores_by_content(scorer.model, images, 1, scorer.rules.densities)
    assert set(scorer.names) == set(expected) == {"neg_elbo", "reconstruction", "kl", "one_class", "one_class_latent"}
    for name, values in expected.items():
        np.testing.assert_allclose(table[name][1:], values, rtol=1e-4)
    np.testing.assert_allclose(np.stack(table["z_mean"][1:]), encode(scorer.model, images)[0], atol=1e-5)
    assert list(table["anomalous"][1:]) == list(table["one_class"][1:] > 3.0)
    assert table["reason"][1:].isna().all()


def test_one_broken_row_of_a_table_leaves_the_others(scorer, digits, tmp_path):
    import pyarrow as pa

    from vaeline.images.png import encode_png

    contents = [encode_png(image) for image in digits.images[:5]]
    contents[2] = contents[2][:40]
    pq.write_table(pa.table({"image": contents}), tmp_path / "digits.parquet")
    table = scorer.table(find_inputs(str(tmp_path / "digits.parquet")), 0, 5).to_pandas()
    assert list(table["reason"].notna()) == [False, False, True, False, False]
    assert list(table["kl"].notna()) == [True, True, False, True, True]


def test_a_folder_has_one_plan(tmp_path, scorer, inputs):
    outputs = Outputs(str(tmp_path / "scores"))
    outputs.begin({"model": "a", "rows": 61})
    outputs.begin({"model": "a", "rows": 61})
    with pytest.raises(VaelineError, match=r"has scores of another model; choose another folder"):
        outputs.begin({"model": "b", "rows": 61})
    with pytest.raises(VaelineError, match=r"has other files, such as broken.png; choose an empty folder"):
        Outputs(inputs.source).begin({})


def test_a_path_stays_when_the_folder_of_a_process_is_another_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outputs = Outputs("scores")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    outputs.write("file", b"content")
    assert (tmp_path / "scores/file").read_bytes() == b"content"


@pytest.mark.parametrize("target", ["memory://bucket/scores", "scores"])
def test_a_piece_is_missing_until_its_file_is_there(scorer, inputs, tmp_path, target):
    outputs = Outputs(target if "://" in target else str(tmp_path / target))
    outputs.begin({"target": target})
    for piece in (2, 0):
        outputs.write_piece(piece, scorer.table(inputs, 20 * piece, 20 * piece + 20))
    assert outputs.missing(4) == [1, 3]
    outputs.write_piece(1, scorer.table(inputs, 20, 40))
    anomalous = scorer.table(inputs, 0, 60)["anomalous"].to_pylist().count(True)
    assert outputs.count(3) == {"written": 60, "unreadable": 1, "anomalous": anomalous}


def test_a_piece_that_was_not_written_to_its_end_is_missing(monkeypatch):
    outputs, pipe_file = Outputs("memory://bucket/half"), MemoryFileSystem.pipe_file
    outputs.begin({})

    def write_half(filesystem, path, content):
        pipe_file(filesystem, path, content[: len(content) // 2])
        raise EOFError

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", write_half)
    with pytest.raises(EOFError):
        outputs.write_piece(0, pa.table({"row": range(20)}))
    assert outputs.missing(1) == [0]
