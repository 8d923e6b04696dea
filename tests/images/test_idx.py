import gzip

import numpy as np
import pytest
from conftest import MIRROR, needs_mnist

from vaeline.errors import VaelineError
from vaeline.images.idx import read_idx, write_idx


def test_what_is_written_is_read_back_through_a_memory_map(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (5, 3, 4), dtype="uint8")
    write_idx(tmp_path / "a", array)
    assert isinstance(read_idx(tmp_path / "a"), np.memmap)
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), array)
    (tmp_path / "a.gz").write_bytes(gzip.compress((tmp_path / "a").read_bytes()))
    np.testing.assert_array_equal(read_idx(tmp_path / "a.gz"), array)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not an IDX file"),
        (b"PNG!garbage", "not an IDX file"),
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "not an IDX file of unsigned bytes"),
        (b"\0\0\x08\x03\0\0\0\x01", "header is cut off"),
        (b"\0\0\x08\x01\0\0\0\x05ab", "says 13"),
        (b"\0\0\x08\x01\0\0\0\x01ab", "says 9"),
        (b"\0\0\x08\x01\0\0\0\0", "holds no data"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path, content, sentence):
    (tmp_path / "broken").write_bytes(content)
    with pytest.raises(VaelineError, match=f"broken: .*{sentence}"):
        read_idx(tmp_path / "broken")


def test_a_truncated_gzip_file_is_refused(tmp_path):
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\0\x05abcde")[:-6])
    with pytest.raises(VaelineError, match="broken gzip"):
        read_idx(tmp_path / "cut.gz")


def test_only_bytes_are_written(tmp_path):
    with pytest.raises(VaelineError, match="not float64"):
        write_idx(tmp_path / "a", np.zeros(3))
    assert not (tmp_path / "a").exists()


@needs_mnist
def test_real_mnist_is_read():
    images = read_idx(MIRROR / "t10k-images-idx3-ubyte.gz")
    labels = read_idx(MIRROR / "t10k-labels-idx1-ubyte.gz")
    assert images.shape == (10_000, 28, 28)
    assert labels[:5].tolist() == [7, 2, 1, 0, 4]
