"""Every form a batch may have gives the same rows; what is broken, foreign or hostile is refused in one sentence."""

import gzip
import io
import zipfile
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from vaeline.data.sources import MNIST_IMAGE
from vaeline.errors import VaelineError
from vaeline.images.arrays import drawable, to_unit
from vaeline.images.digests import image_digests
from vaeline.images.idx import write_idx, write_idx_images
from vaeline.images.limits import FOREIGN
from vaeline.images.png import save_picture
from vaeline.ingestion.batches import UnreadableBatchError, read_batch, write_batch

CLASSES = tuple("0123456789")
COUNT = 6


@pytest.fixture
def rows(digits):
    """Six digits of the classes 3 to 8, in the order in which files of sub-folders are read."""
    return digits.images[3 : 3 + COUNT], digits.labels[3 : 3 + COUNT]


def png(image):
    stream = io.BytesIO()
    Image.fromarray(drawable(image)).save(stream, "PNG")
    return stream.getvalue()


def pictures(folder, images, labels):
    for row, image in enumerate(images):
        target = folder / "batch" / ("" if labels is None else str(labels[row])) / f"{row}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        save_picture(to_unit(image), target)
    return folder / "batch"


def npz(folder, images, labels):
    np.savez(folder / "batch.npz", images=images, **({} if labels is None else {"labels": labels}))
    return folder / "batch.npz"


def idx(folder, images, labels):
    write_idx_images(folder / "batch" / "week-images-idx3-ubyte", images)
    if labels is not None:
        write_idx(folder / "batch" / "week-labels-idx1-ubyte", labels)
    return folder / "batch"


def idx_gz(folder, images, labels):
    for file in list(idx(folder, images, labels).iterdir()):
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    return folder / "batch"


def table(folder, column, labels):
    pq.write_table(
        pa.table({"image": column} | ({} if labels is None else {"label": labels})), folder / "batch.parquet"
    )
    return folder / "batch.parquet"


def lists(folder, images, labels):
    return table(folder, pa.array(list(images.reshape(len(images), -1)), pa.list_(pa.uint8())), labels)


def nested_numbers(folder, images, labels):
    return table(folder, pa.array(images[..., 0].tolist(), pa.list_(pa.list_(pa.int64()))), labels)


def encoded(folder, images, labels):
    return table(folder, pa.array([{"bytes": png(image), "path": None} for image in images]), labels)


def words(folder, images, labels):
    return table(
        folder, pa.array([png(image) for image in images]), None if labels is None else [str(label) for label in labels]
    )


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("write", [pictures, npz, idx, idx_gz, lists, nested_numbers, encoded, words])
def test_every_form_gives_the_same_rows(tmp_path, rows, write, labelled):
    images, labels = rows
    found = read_batch(write(tmp_path, images, labels if labelled else None), CLASSES, MNIST_IMAGE)
    np.testing.assert_array_equal(found.images, images)
    assert found.images.dtype == np.uint8
    assert (found.labels is None) == (not labelled)
    if labelled:
        assert found.labels.tolist() == labels.tolist()


def test_a_data_set_without_labels_takes_every_batch_for_its_only_class(tmp_path, rows):
    assert read_batch(npz(tmp_path, rows[0], None), ("unlabelled",), MNIST_IMAGE).labels.tolist() == [0] * COUNT


def test_arrays_of_another_type_or_size_stay_as_they_are_for_the_gate_to_see(tmp_path, rows):
    found = read_batch(npz(tmp_path, to_unit(rows[0])[:, 2:], rows[1]), CLASSES, MNIST_IMAGE)
    assert found.images.dtype == np.float32
    assert found.images.shape == (COUNT, 26, 28, 1)


def pickled(folder, rows):
    np.savez(folder / "batch.npz", images=np.array([{"a": 1}], dtype=object))
    return folder / "batch.npz"


def foreign_archive(folder, rows):
    np.savez(folder / "batch.npz", pictures=rows[0])
    return folder / "batch.npz"


def cut_off(folder, rows):
    path = npz(folder, *rows)
    path.write_bytes(path.read_bytes()[:-100])
    return path


def archive_bomb(folder, rows):
    with zipfile.ZipFile(folder / "batch.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", bytes(2**20))
    return folder / "batch.npz"


def gzip_bomb(folder, rows):
    (folder / "batch").mkdir()
    (folder / "batch/week-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(2**20)))
    return folder / "batch"


def table_bomb(folder, rows):
    return table(folder, pa.array([[0] * 2**19], pa.list_(pa.uint8())), None)


def picture_bomb(folder, rows):
    (folder / "batch").mkdir()
    Image.new("L", (2400, 2400)).save(folder / "batch/1.png")
    return folder / "batch"


def encoded_bomb(folder, rows):
    return table(folder, pa.array([png(np.zeros((2400, 2400, 1), "uint8"))]), None)


def ragged(folder, rows):
    return table(folder, pa.array([[0] * 700, [0] * 868], pa.list_(pa.uint8())), None)


def no_square(folder, rows):
    return table(folder, pa.array([[0] * 700], pa.list_(pa.uint8())), None)


def row_without_an_image(folder, rows):
    return table(folder, pa.array([png(rows[0][0]), None]), None)


def unknown_word(folder, rows):
    return table(folder, pa.array([png(rows[0][0])]), ["three"])


def unknown_folder(folder, rows):
    return pictures(folder, rows[0], ["3", "3", "x", "3", "3", "3"])


def loose_picture(folder, rows):
    path = pictures(folder, *rows)
    save_picture(to_unit(rows[0][0]), path / "loose.png")
    return path


def another_file(folder, rows):
    path = pictures(folder, *rows)
    (path / "3" / "notes.txt").write_text("hello")
    return path


def no_picture(folder, rows):
    path = pictures(folder, *rows)
    (path / "3" / "no.png").write_text("hello")
    return path


def link(folder, rows):
    path = pictures(folder, *rows)
    (path / "3" / "secret.png").symlink_to("/etc/hostname")
    return path


def link_itself(folder, rows):
    (folder / "linked.npz").symlink_to(npz(folder, *rows))
    return folder / "linked.npz"


def empty(folder, rows):
    (folder / "batch").mkdir()
    return folder / "batch"


def other_ending(folder, rows):
    (folder / "batch.csv").write_text("1,2")
    return folder / "batch.csv"


def two_kinds_of_idx(folder, rows):
    path = idx(folder, *rows)
    write_idx_images(path / "t10k-images-idx3-ubyte", rows[0])
    return path


def broken_table(folder, rows):
    (folder / "batch.parquet").write_bytes(b"PAR1 no PAR1")
    return folder / "batch.parquet"


def training_and_test_set(folder, rows):
    np.savez(folder / "batch.npz", x_train=rows[0], y_train=rows[1], x_test=rows[0], y_test=rows[1])
    return folder / "batch.npz"


def with_labels(labels):
    return lambda folder, rows: npz(folder, rows[0], np.array(labels))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (pickled, "without pickles"),
        (foreign_archive, "holds pictures; expected one of .*images"),
        (cut_off, "not a readable .npz"),
        (archive_bomb, "bytes when unpacked"),
        (gzip_bomb, "bytes when unpacked"),
        (table_bomb, r"bytes when unpacked, at most .* \(ingest\.limits\.bytes\)"),
        (picture_bomb, r"1\.png: too large: 2400 × 2400 pixels"),
        (encoded_bomb, "row 0: too large: 2400 × 2400 pixels"),
        (ragged, "images of 700 and of 868 pixels"),
        (no_square, "expected squares"),
        (row_without_an_image, "rows without an image"),
        (unknown_word, "the label 'three' is no class"),
        (unknown_folder, "the label 'x' is no class"),
        (loose_picture, "lies beside labelled sub-folders"),
        (another_file, r"notes\.txt: its name is not that of a picture"),
        (no_picture, r"no\.png: not a PNG, JPEG, WebP, BMP, TIFF or GIF picture, whatever its name says"),
        (link, r"secret\.png: is a link"),
        (link_itself, r"linked\.npz: is a link"),
        (empty, "is an empty folder"),
        (other_ending, r"neither a picture \(PNG, JPEG, WebP, BMP, TIFF, GIF\) nor .npy, .npz, .parquet"),
        (two_kinds_of_idx, "more than one IDX file"),
        (training_and_test_set, "holds a test set"),
        (broken_table, "not a readable Parquet"),
        (with_labels([1.5] * COUNT), "whole numbers from 0 to 65,534"),
        (with_labels([-1] * COUNT), "whole numbers from 0 to 65,534"),
        (with_labels([1] * (COUNT - 1)), "6 images but 5 labels"),
        (lambda folder, rows: npz(folder, rows[0].reshape(COUNT, -1), None), r"images have shape \(6, 784\)"),
        (lambda folder, rows: npz(folder, rows[0][:, :4], None), r"images of shape \(6, 4, 28, 1\)"),
        (lambda folder, rows: npz(folder, rows[0][:0], None), r"images have shape \(0, 28, 28, 1\)"),
    ],
)
def test_what_cannot_be_taken_is_refused_and_named(tmp_path, rows, make, sentence):
    with pytest.raises(UnreadableBatchError, match=sentence):
        read_batch(
            make(tmp_path, rows), CLASSES, MNIST_IMAGE, replace(FOREIGN, bytes=replace(FOREIGN.bytes, most=2**18))
        )


@pytest.mark.parametrize("name", ["batch.npz", "batch.parquet", "batch"])
@pytest.mark.parametrize("labelled", [True, False])
def test_what_is_written_is_read_back(digits, tmp_path, name, labelled):
    images, labels = digits.images[:30], digits.labels[:30]
    write_batch(tmp_path / name, images, labels if labelled else None, digits.classes)
    found = read_batch(tmp_path / name, digits.classes, MNIST_IMAGE)
    if not labelled:
        assert found.labels is None
    else:
        wanted = sorted(zip(image_digests(images), labels.tolist(), strict=True))
        assert sorted(zip(image_digests(found.images), found.labels.tolist(), strict=True)) == wanted
    with pytest.raises(VaelineError, match="must end in"):
        write_batch(tmp_path / "batch.csv", images, labels, digits.classes)
