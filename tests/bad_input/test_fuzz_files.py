"""Mutated files of images give images or one sentence, in bounded memory, as own images and as batches."""

import gzip
import os
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bad_input.refusal import check_sentence
from bad_input.test_data import IMAGES, SMALL, idx, npy, npz, parquet, picture, tar, zipped
from hypothesis import given, settings
from hypothesis import strategies as st

from vaeline.data.sources import MNIST_IMAGE
from vaeline.errors import VaelineError
from vaeline.images.reader import read_file
from vaeline.ingestion.batches import UnreadableBatchError, read_batch

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
MOST_MEMORY = 200_000_000  # bytes that Python and NumPy may take for a file of some kilobytes
CLASSES = tuple("0123456789")
LISTS = [row.ravel().tolist() for row in IMAGES]
VALID = {
    "x.npy": npy(IMAGES),
    "x.npz": npz(images=IMAGES, labels=np.arange(6)),
    "x-images-idx3-ubyte": idx(8, 6, 28, 28, content=IMAGES.tobytes()),
    "x-images-idx3-ubyte.gz": gzip.compress(idx(8, 6, 28, 28, content=IMAGES.tobytes()), mtime=0),
    "x.parquet": parquet(image=LISTS, label=list(range(6))),
    "pictures.parquet": parquet(image=[picture()] * 3, label=["1", "2", "3"]),
    "x.png": picture(),
    "x.jpg": picture("JPEG"),
    "x.webp": picture("WebP"),
    "x.gif": picture("GIF"),
    "x.bmp": picture("BMP"),
    "x.tif": picture("TIFF"),
    "x.zip": zipped(images=npy(IMAGES)),
    "x.tar": tar(),
}
quick = settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None)
KINDS = ("set", "cut", "drop", "double", "insert")
mutations = st.lists(
    st.tuples(st.sampled_from(KINDS), st.floats(0, 1), st.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=5,
)


def mutated(content: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    """A file with bytes set, cut off, left out, doubled or put in, at places that are shares of its length."""
    for how, share, given_bytes in changes:
        place = int(share * len(content))
        end = place + len(given_bytes)
        content = {
            "set": content[:place] + given_bytes + content[end:],
            "cut": content[:place],
            "drop": content[:place] + content[end:],
            "double": content[:end] + content[place:],
            "insert": content[:place] + given_bytes + content[place:],
        }[how]
    return content


def read_or_refuse(read: Callable[[Path], object], name: str, content: bytes, error: type[Exception]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(content)
        tracemalloc.start()
        try:
            read(file)
        except error as refused:
            check_sentence(str(refused), ())
        finally:
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert most < MOST_MEMORY
        assert list(Path(folder).iterdir()) == [file]


@pytest.mark.parametrize("name", VALID)
def test_a_mutated_file_is_read_or_refused(name):
    @quick
    @given(mutations)
    def check(changes):
        content = mutated(VALID[name], changes)
        read_or_refuse(lambda file: read_file(file, MNIST_IMAGE, SMALL), name, content, VaelineError)
        read_or_refuse(lambda file: read_batch(file, CLASSES, MNIST_IMAGE, SMALL), name, content, UnreadableBatchError)

    check()
