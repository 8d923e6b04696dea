"""Which rows a large source has, and how some of them are read."""

import io

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from vaeline.errors import VaelineError
from vaeline.images.arrays import to_unit
from vaeline.images.errors import UnreadableImagesError
from vaeline.images.spec import ImageSpec
from vaeline.scoring.inputs import Span, find_inputs, read_inputs

SPEC = ImageSpec(height=8, width=8, channels=1)


def png(image):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def levels():
    return np.random.default_rng(1).integers(0, 256, (30, 8, 8), dtype="uint8")


@pytest.fixture
def source(levels, tmp_path):
    """Thirty images in four files of different kinds, in this order: a.npy, b/one.png, c.parquet, d.parquet."""
    folder = tmp_path / "source"
    (folder / "b").mkdir(parents=True)
    np.save(folder / "a.npy", levels[:10])
    (folder / "b/one.png").write_bytes(png(levels[10]))
    numbers = pa.table({"image": list(levels[11:20].reshape(9, -1)), "label": range(9)})
    pq.write_table(numbers, folder / "c.parquet", row_group_size=4)
    pq.write_table(pa.table({"image": [png(image) for image in levels[20:]]}), folder / "d.parquet", row_group_size=3)
    (folder / "notes.txt").write_text("none")
    (folder / ".hidden.png").write_bytes(png(levels[0]))
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX/litter.png").write_bytes(png(levels[0]))
    return folder


def read_all(inputs, start, stop):
    return np.concatenate([inputs.read(span, SPEC, invert=False) for span in inputs.spans(start, stop)])


@pytest.mark.parametrize("rows", [(0, 30), (0, 1), (9, 12), (13, 18), (19, 21), (22, 30), (29, 30)])
def test_any_rows_are_those_of_the_files_in_the_order_of_their_names(source, levels, rows):
    inputs = find_inputs(str(source))
    assert inputs.files.to_pylist() == ["a.npy", "b/one.png", "c.parquet", "d.parquet"]
    assert len(inputs) == 30
    np.testing.assert_array_equal(read_all(inputs, *rows)[..., 0], to_unit(levels[slice(*rows)]))


def test_rows_have_the_names_that_commands_give_them(source):
    inputs = find_inputs(str(source))
    names = [name for span in inputs.spans(9, 13) for name in span.names]
    assert names == ["a.npy[9]", "b/one.png", "c.parquet[0]", "c.parquet[1]"]


def test_a_source_elsewhere_is_read_as_one_on_this_machine(source, levels):
    elsewhere = fsspec.filesystem("memory")
    elsewhere.put(str(source), "/bucket/source", recursive=True)
    inputs = find_inputs("memory://bucket/source")
    assert inputs.digest == find_inputs(str(source)).digest
    np.testing.assert_array_equal(read_all(inputs, 5, 25)[..., 0], to_unit(levels[5:25]))


def test_a_listing_comes_back_from_its_file(source):
    inputs = find_inputs(str(source))
    again = read_inputs(inputs.as_bytes(), *inputs.place)
    assert (again.source, again.root, again.files) == (inputs.source, inputs.root, inputs.files)
    np.testing.assert_array_equal(again.ends, inputs.ends)


def test_one_file_is_a_source(source, levels):
    inputs = find_inputs(str(source / "c.parquet"))
    assert [span.names[0] for span in inputs.spans(0, 9)] == ["c.parquet[0]"]
    np.testing.assert_array_equal(read_all(inputs, 2, 9)[..., 0], to_unit(levels[13:20]))


def test_what_cannot_be_read_is_named(source, tmp_path):
    (source / "b/one.png").write_bytes(b"no picture")
    inputs = find_inputs(str(source))
    with pytest.raises(UnreadableImagesError, match=r"b/one.png: not a PNG"):
        inputs.read(Span("b/one.png", 0, 1, 1), SPEC, invert=False)
    with pytest.raises(VaelineError, match=r"nowhere: no pictures, .npy or .parquet files"):
        find_inputs(str(tmp_path / "nowhere"))
    with pytest.raises(VaelineError, match=r"gopher://x: cannot be read"):
        find_inputs("gopher://x")
    with (source / "e.npy").open("wb") as stream:
        objects = {"descr": "|O", "fortran_order": False, "shape": (2, 8, 8)}
        np.lib.format.write_array_header_1_0(stream, objects)
    with pytest.raises(VaelineError, match=r"e.npy: no readable images .*an array of object"):
        find_inputs(str(source))
