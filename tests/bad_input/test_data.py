"""Wrong files of images, labels, tables, masks and archives, as own images and as batches."""

import gzip
import io
import struct
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bad_input.refusal import check_raises
from conftest import ROOT
from PIL import Image

from vaeline.data.own_images import Reading, read_own_images
from vaeline.data.sources import MNIST_IMAGE
from vaeline.errors import VaelineError
from vaeline.images.limits import FOREIGN, OWN, Limit, Limits
from vaeline.images.png import encode_png
from vaeline.ingestion.batches import UnreadableBatchError, read_batch
from vaeline.params.whole import read_params

SMALL = Limits(
    pixels=Limit(1000, "limits.pixels"),
    bytes=Limit(100_000, "limits.bytes"),
    images=Limit(20, "limits.images"),
    files=Limit(30, "limits.files"),
)
CLASSES = tuple("0123456789")
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 28, 28), "uint8")
PNG = encode_png(IMAGES[0][..., None])


def idx(code: int, *shape: int, content: bytes = b"") -> bytes:
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + content


def npz(**arrays: object) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def npy(array: np.ndarray, pickled: bool = False) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=pickled)
    return stream.getvalue()


def npy_header(shape: str, dtype: str = "|u1") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def zipped(method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def parquet(**columns: object) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def picture(kind: str = "PNG", size: tuple[int, int] = (28, 28), mode: str = "L") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, 7).save(stream, kind)
    return stream.getvalue()


def tar(mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        archive.addfile(tarfile.TarInfo("0.png"), io.BytesIO())
    return stream.getvalue()


LISTS = [row.ravel().tolist() for row in IMAGES]
ELSEWHERE = pa.array([{"bytes": None, "path": "a.png"}], pa.struct({"bytes": pa.binary(), "path": pa.string()}))
ONE_IDX = idx(8, 1, 8, 8, content=bytes(64))
NO_IDX = ("not an IDX file",)
FILES = {
    # NumPy
    "x.npy: empty": (b"", ("x.npy: an empty file",)),
    "x.npy: no array": (b"no array", ("x.npy: cut off, or no .npy array",)),
    "x.npy: cut": (npy(IMAGES)[:500], ("cut off, or no .npy array",)),
    "x.npy: objects": (npy(np.array([{}], object), pickled=True), ("pickles are not read",)),
    "x.npy: one number": (npy(np.array(5)), ("images have shape ()", "(count, height, width)")),
    "x.npy: text": (npy(np.full((6, 28, 28), "x")), ("<U1",)),
    "x.npy: dates": (npy(np.zeros((6, 28, 28), "datetime64[s]")), ("datetime64",)),
    "x.npy: complex": (npy(np.zeros((6, 28, 28), complex)), ("complex128",)),
    "x.npy: records": (npy(np.zeros((6, 28, 28), [("a", "u1")])), ("[('a', 'u1')]",)),
    "x.npy: two channels": (npy(np.zeros((6, 28, 28, 2), "u1")), ("images have shape (6, 28, 28, 2)",)),
    "x.npy: no images": (npy(np.zeros((0, 28, 28), "u1")), ("images have shape (0, 28, 28)",)),
    "x.npy: too many": (npy(np.zeros((21, 8, 8), "u1")), ("21 images, at most 20 are read (limits.images)",)),
    "x.npy: too wide": (npy(np.zeros((1, 40, 28), "u1")), ("too large: 40 × 28", "1,000 are read (limits.pixels)")),
    "x.npy: a negative size": (npy_header("(-1, 28, 28)"), ("cut off, or no .npy array",)),
    "x.npy: an enormous size": (npy_header("(9999999999, 28, 28)"), ("cut off, or no .npy array",)),
    "x.npz: empty": (b"", ("x.npz: an empty file",)),
    "x.npz: no archive": (b"PK\x03\x04 no archive", ("not a readable .npz file",)),
    "x.npz: cut": (npz(images=IMAGES)[:1000], ("not a readable .npz file",)),
    "x.npz: other names": (npz(pictures=IMAGES), ("holds pictures; expected one of", "images")),
    "x.npz: labels alone": (npz(labels=np.zeros(6, int)), ("holds labels", "no images")),
    "x.npz: nothing": (zipped(), ("holds nothing",)),
    "x.npz: pickles": (zipped(images=npy(np.array([{}], object), pickled=True)), ("without pickles",)),
    "x.npz: no array inside": (zipped(images=b"no array"), ("not a readable .npz file",)),
    "x.npz: a bomb": (zipped(images=npy(np.zeros((9, 300, 300), "u1"))), ("at most 100,000 are read (limits.bytes)",)),
    "x.npz: a false size": (zipped(images=npy_header("(99999999, 9999, 99)")), ("fewer bytes than its header says",)),
    "x.npz: LZMA": (zipped(zipfile.ZIP_LZMA, images=npy(IMAGES)), ("compressed in a way that NumPy does not write",)),
    "x.npz: labels of text": (npz(images=IMAGES, labels=["a"] * 6), ("labels must be one list of whole numbers",)),
    "x.npz: labels of halves": (npz(images=IMAGES, labels=[0.5] * 6), ("labels must be one list of whole numbers",)),
    "x.npz: label −1": (npz(images=IMAGES, labels=[-1] * 6), ("whole numbers from 0 to 65,534",)),
    "x.npz: label 65,535": (npz(images=IMAGES, labels=[65_535] * 6), ("whole numbers from 0 to 65,534",)),
    "x.npz: one-hot labels": (npz(images=IMAGES, labels=np.eye(6, dtype=int)), ("one list of whole numbers",)),
    "x.npz: a column of labels": (npz(images=IMAGES, labels=np.ones((6, 1), int)), ("one list of whole numbers",)),
    "x.npz: too few labels": (npz(images=IMAGES, labels=[1, 2]), ("6 images but 2 labels",)),
    # IDX
    "x-images-idx3-ubyte: empty": (b"", NO_IDX),
    "x-images-idx3-ubyte: text": (b"text", NO_IDX),
    "x-images-idx3-ubyte: floats": (idx(0x0D, 6, 28, 28), NO_IDX),
    "x-images-idx3-ubyte: no axes": (idx(8), NO_IDX),
    "x-images-idx3-ubyte: a cut header": (idx(8, 6, 28, 28)[:9], ("the IDX header is cut off",)),
    "x-images-idx3-ubyte: cut": (
        idx(8, 6, 28, 28, content=bytes(9)),
        ("25 bytes, but its header (6, 28, 28) says 4720",),
    ),
    "x-images-idx3-ubyte: too long": (idx(8, 1, 8, 8, content=bytes(99)), ("115 bytes, but its header",)),
    "x-images-idx3-ubyte: no images": (idx(8, 0, 28, 28), ("holds no data",)),
    "x-images-idx3-ubyte: a list": (idx(8, 9, content=bytes(9)), ("images have shape (9,)",)),
    "x-images-idx3-ubyte: integers": (idx(12, 1, 8, 8, content=bytes(256)), ("holds 32-bit integers",)),
    "x-images-idx3-ubyte.gz: cut": (gzip.compress(idx(8, 1, 8, 8, content=bytes(64)))[:-9], ("broken gzip file",)),
    "x-images-idx3-ubyte.gz: changed": (gzip.compress(bytes(64))[:-8] + bytes(8), ("broken gzip file",)),
    "x-images-idx3-ubyte.gz: a bomb": (gzip.compress(bytes(2**20)), ("at most 100,000 are read (limits.bytes)",)),
    # Parquet
    "x.parquet: empty": (b"", ("not a readable Parquet file",)),
    "x.parquet: text": (b"text", ("not a readable Parquet file",)),
    "x.parquet: cut": (parquet(image=LISTS)[:-9], ("not a readable Parquet file",)),
    "x.parquet: other columns": (parquet(a=[1], b=[2]), ("columns a, b; expected image, label",)),
    "x.parquet: no rows": (parquet(image=pa.array([], pa.list_(pa.uint8()))), ("has no rows",)),
    "x.parquet: a row without an image": (parquet(image=[LISTS[0], None]), ("rows without an image or a label",)),
    "x.parquet: a row without a label": (
        parquet(image=LISTS, label=[1, 2, 3, None, 5, 6]),
        ("without an image or a label",),
    ),
    "x.parquet: numbers": (parquet(image=[1, 2]), ("x.parquet: ",)),
    "x.parquet: text as images": (parquet(image=["a", "b"]), ("x.parquet: ",)),
    "x.parquet: lists of unequal length": (parquet(image=[[1, 2], [1]]), ("x.parquet: ",)),
    "x.parquet: a broken picture": (parquet(image=[PNG, PNG[:99]]), ("x.parquet: row 1: a broken picture",)),
    "x.parquet: no picture": (parquet(image=[b"text"]), ("x.parquet: row 0: not a PNG",)),
    "x.parquet: pictures elsewhere": (parquet(image=ELSEWHERE), ("lies in another file",)),
    "x.parquet: too many": (parquet(image=LISTS * 4), ("24 rows, at most 20 are read (limits.images)",)),
    "x.parquet: a bomb": (parquet(image=[[7] * 200_000]), ("when unpacked, at most 100,000 are read (limits.bytes)",)),
    # pictures, alone and in archives that are not read
    "x.png: empty": (b"", ("x.png: an empty file",)),
    "x.png: text": (b"text", ("not a PNG, JPEG", "whatever its name says")),
    "x.png: cut": (PNG[:99], ("x.png: a broken picture",)),
    "x.png: a false length": (PNG[:33] + b"\0\0\0\5" + PNG[37:], ("x.png: a broken picture",)),
    "x.png: too large": (picture(size=(100, 200)), ("too large: 200 × 100", "1,000 are read (limits.pixels)")),
    "x.jpg: cut": (picture("JPEG")[:300], ("x.jpg: a broken picture",)),
    "x.tif: of floats": (picture("TIFF", mode="F"), ("its pixels are floating-point numbers",)),
    "x.gif: cut": (picture("GIF")[:15], ("x.gif: ",)),
    "x.pdf: a page": (b"%PDF", ("neither a picture",)),
    "x.zip: an archive": (zipped(images=npy(IMAGES)), ("neither a picture", "by its name")),
    "x.tar: an archive": (tar(), ("neither a picture", "by its name")),
    "x.tar.gz: an archive": (tar("w:gz"), ("neither a picture", "by its name")),
}
FOLDERS = {
    "nothing": ({}, ("empty folder", "no pictures")),
    "text alone": ({"a.txt": b"a"}, ("a.txt", "no pictures")),
    "a picture beside labels": ({"1/a.png": PNG, "b.png": PNG}, ("b.png: lies beside labelled sub-folders",)),
    "a cut picture": ({"1/a.png": PNG, "2/b.png": PNG[:99]}, ("b.png", "a broken picture")),
    "too many files": ({f"1/{number}.png": PNG for number in range(31)}, ("at most 30 are read (limits.files)",)),
    "too many pictures": ({f"{number}.png": PNG for number in range(21)}, ("21 pictures, at most 20 are read",)),
    "two IDX files": ({f"{name}-images-idx3-ubyte": ONE_IDX for name in "ab"}, ("more than one IDX file",)),
    "IDX files with too few labels": (
        {"a-images-idx3-ubyte": ONE_IDX, "a-labels-idx1-ubyte": idx(8, 2, content=b"12")},
        ("1 images but 2 labels",),
    ),
}
OWN_ALONE = {
    "a mask of no picture": ({"good/a.png": PNG, "masks/good/b.png": PNG}, ("b.png: a mask of no picture",)),
    "splits and a class": (
        {"train/1/a.png": PNG, "test/1/b.png": PNG, "2/c.png": PNG},
        ("c.png: lies beside the folders",),
    ),
    "a broken mask": ({"good/a.png": PNG, "bad/b.png": PNG, "masks/bad/b.png": b"x"}, ("masks/bad/b.png", "not a PNG")),
    "test images alone": ({"train/bad/a.png": PNG, "test/good/b.png": PNG}, ("no image to train on",)),
}
TABLES = {
    "no path": ("label\n1\n", ("columns label; expected path",)),
    "no rows": ("path,label\n", ("has no rows",)),
    "no label in a row": ("path,label\na.png,\n", ("rows without a path, a label",)),
    "no such file": ("path,label\nb.png,1\n", ("row 1: ", "b.png is no file")),
    "another split": ("path,split\na.png,holdout\n", ("split 'holdout'; expected train, validation or test",)),
    "unequal rows": ('path,label\na.png,1,2,3\nx\n"', ("not a readable table",)),
    "nothing": ("", ("not a readable table",)),
    "bytes": (b"\xff\xfe\x00path", ("not a readable table",)),
    "a folder as a file": ("path\n.\n", ("is no file",)),
    "a NUL": ("path\na\0.png\n", ("a.csv: ",)),
}


@pytest.fixture(scope="session")
def reading() -> Reading:
    return Reading(read_params(ROOT / "params.yaml").data.image, "good", 0, SMALL)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(("name", "content", "words"), [(name, *row) for name, row in FILES.items()], ids=FILES)
def test_a_wrong_file_is_refused_as_own_images_and_as_a_batch(tmp_path, reading, name, content, words):
    file = write(tmp_path, {name.partition(":")[0]: content}) / name.partition(":")[0]
    check_raises(lambda: read_own_images(file, reading, tmp_path / "cache"), words, VaelineError)
    check_raises(lambda: read_batch(file, CLASSES, MNIST_IMAGE, SMALL), words, UnreadableBatchError)
    assert [path for path in tmp_path.iterdir() if path.name != "cache"] == [file]


@pytest.mark.parametrize(("files", "words"), FOLDERS.values(), ids=FOLDERS)
def test_a_wrong_folder_is_refused(tmp_path, reading, files, words):
    folder = write(tmp_path / "folder", files)
    said = words[-1:] if len(words) == 2 else words
    check_raises(lambda: read_own_images(folder, reading, tmp_path / "cache"), said, VaelineError)
    said = words[:1]
    check_raises(lambda: read_batch(folder, CLASSES, MNIST_IMAGE, SMALL), said, UnreadableBatchError)


@pytest.mark.parametrize(("files", "words"), OWN_ALONE.values(), ids=OWN_ALONE)
def test_wrong_splits_and_masks_are_refused(tmp_path, reading, files, words):
    folder = write(tmp_path / "folder", files)
    check_raises(lambda: read_own_images(folder, reading, tmp_path / "cache"), words, VaelineError)


@pytest.mark.parametrize(("text", "words"), TABLES.values(), ids=TABLES)
def test_a_wrong_table_is_refused(tmp_path, reading, text, words):
    write(tmp_path, {"a.png": PNG, "a.csv": text if isinstance(text, bytes) else text.encode()})
    check_raises(lambda: read_own_images(tmp_path / "a.csv", reading, tmp_path / "cache"), words, VaelineError)


@pytest.mark.parametrize("groups", ["(", "a", "(a)(b)", "(nothing)"])
def test_a_wrong_expression_for_groups_is_refused(tmp_path, reading, groups):
    folder, asked = write(tmp_path / "folder", {"a.png": PNG}), replace(reading, groups=groups)
    check_raises(lambda: read_own_images(folder, asked, tmp_path / "cache"), (f"data.groups {groups!r}",), VaelineError)


@pytest.mark.parametrize("limits", [OWN, FOREIGN])
def test_the_usual_limits_name_parameters_that_exist(limits):
    params = read_params(ROOT / "params.yaml").model_dump(by_alias=True)
    for limit in vars(limits).values():
        section, _, name = limit.key.split(".")
        assert params[section]["limits"][name] == limit.most
