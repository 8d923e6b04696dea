"""A file is the same array wherever it comes in: fetch, validate, ingest, monitor, a command and the service."""

import importlib.util
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from vaeline.data.own_images import Reading
from vaeline.data.sources import TRAIN_IMAGES
from vaeline.errors import VaelineError
from vaeline.images.arrays import to_uint8
from vaeline.images.idx import read_idx_images, write_idx_images
from vaeline.images.limits import OWN
from vaeline.images.named import read_named_images
from vaeline.images.parquet import write_parquet
from vaeline.images.spec import ImageSpec
from vaeline.ingestion.batches import read_batch
from vaeline.monitoring.window import read_window
from vaeline.params.whole import read_params
from vaeline.serving.payloads import PNG, read_images
from vaeline.serving.refusal import RefusalError
from vaeline.serving.settings import Settings
from vaeline.validation.splits import read_splits

RNG = np.random.default_rng(1)
GREY = RNG.integers(0, 256, (30, 44), dtype="uint8")
SPEC = ImageSpec(height=28, width=28, channels=1)
CLASSES = ("unlabelled",)


@pytest.fixture(scope="module")
def stage():
    """The script of the stage `fetch`."""
    spec = importlib.util.spec_from_file_location("fetch_stage", ROOT / "pipeline/fetch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def entries(stage, tmp_path, monkeypatch) -> dict[str, Callable[[Path], np.ndarray]]:
    """Each way in, as a function from a folder or file to images uint8 (count, height, width, channels)."""

    monkeypatch.chdir(tmp_path)

    def fetch(path: Path) -> np.ndarray:
        stage.fetch(
            str(path),
            tmp_path / "raw",
            Reading(read_params(ROOT / "params.yaml").data.image, "good", 0, OWN),
            SPEC,
        )
        return np.asarray(read_idx_images(tmp_path / "raw" / TRAIN_IMAGES))

    return {
        "fetch": fetch,
        "validate": lambda path: read_splits(path, lambda: SPEC).splits["all"].images,
        "ingest": lambda path: read_batch(path, CLASSES, SPEC).images,
        "monitor": lambda path: read_window([path], CLASSES, SPEC, False, 1).images,
        "command": lambda path: to_uint8(read_named_images([path], SPEC).images),
    }


def serve(file: Path) -> np.ndarray:
    """What the service makes of a PNG."""
    return to_uint8(read_images(file.read_bytes(), PNG, SPEC, Settings("unused")))


def plain(file: Path) -> None:
    Image.fromarray(GREY).save(file, "PNG")


def turned(file: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY).save(file, "PNG", exif=exif)


def turned_jpeg(file: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY).save(file, "JPEG", quality=95, exif=exif)


def transparent(file: Path) -> None:
    layer = np.full((30, 44, 4), 255, "uint8")
    layer[..., 3] = 0
    layer[10:20, 10:20, 3] = 255
    Image.fromarray(layer).save(file, "PNG")


def deep(file: Path) -> None:
    Image.fromarray((np.arange(30 * 44).reshape(30, 44) * 49).astype("uint16")).save(file, "PNG")


def palette(file: Path) -> None:
    Image.fromarray(RNG.integers(0, 256, (30, 44, 3), dtype="uint8")).quantize(16).save(file, "PNG")


def gif(file: Path) -> None:
    Image.fromarray(GREY).save(file, "GIF", save_all=True, append_images=[Image.fromarray(255 - GREY)])


def webp(file: Path) -> None:
    Image.fromarray(GREY).save(file, "WEBP", lossless=True)


AWKWARD = {
    "plain": ("a.png", plain),
    "turned by EXIF": ("a.png", turned),
    "hidden white under alpha 0": ("a.png", transparent),
    "16 bits": ("a.png", deep),
    "a palette": ("a.png", palette),
    "a PNG that is called JPEG": ("a.jpg", plain),
    "a JPEG that is called PNG": ("a.png", turned_jpeg),
    "an animated GIF": ("a.gif", gif),
    "a WebP that is called PNG": ("a.png", webp),
}


@pytest.mark.parametrize("case", AWKWARD)
def test_a_picture_is_the_same_array_at_every_entry(entries, tmp_path, case):
    name, write = AWKWARD[case]
    folder = tmp_path / "pictures"
    folder.mkdir()
    write(folder / name)
    found = {entry: read(folder) for entry, read in entries.items()}
    if write not in (turned_jpeg, gif, webp):  # the service takes PNG alone
        found["service"] = serve(folder / name)
    for entry, images in found.items():
        assert images.dtype == np.uint8, entry
        assert images.shape == (1, *SPEC.shape), entry
        np.testing.assert_array_equal(images, found["fetch"], err_msg=entry)


def test_awkward_pictures_look_as_people_see_them(entries, tmp_path):
    for name, write in (("1.png", turned), ("2.png", transparent), ("3.png", deep)):
        write(tmp_path / name)
    turned_image, ink, ramp = entries["validate"](tmp_path)
    upright = Image.fromarray(np.rot90(GREY, -1))
    upright.save(tmp_path / "upright.png")
    found = read_splits(tmp_path / "upright.png", lambda: SPEC).splits["all"]
    np.testing.assert_array_equal(turned_image, found.images[0])
    assert ink.mean() < 60
    assert ink.max() == 255
    assert len(np.unique(ramp)) > 100


def broken_idat(file: Path) -> None:
    plain(file)
    content = bytearray(file.read_bytes())
    place = content.index(b"IDAT")
    content[place - 4 : place] = struct.pack(">I", struct.unpack(">I", content[place - 4 : place])[0] - 50)
    file.write_bytes(bytes(content))


def cut(file: Path) -> None:
    plain(file)
    file.write_bytes(file.read_bytes()[:200])


def ppm(file: Path) -> None:
    Image.fromarray(GREY).save(file, "PPM")


def huge(file: Path) -> None:
    header = struct.pack(">IIBBBBB", 12_000, 10_000, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


REFUSED = {
    "a wrong IDAT length": (broken_idat, "a broken picture"),
    "a cut tail": (cut, "a broken picture"),
    "zero bytes": (Path.touch, "an empty file"),
    "a PPM that is called PNG": (ppm, "not a PNG.* picture, whatever its name says"),
    "120 megapixels": (huge, "too large"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_picture_that_cannot_be_used_is_refused_at_every_entry_by_name(entries, tmp_path, case):
    write, reason = REFUSED[case]
    folder = tmp_path / "pictures"
    folder.mkdir()
    write(folder / "a.png")
    for read in entries.values():
        with pytest.raises(VaelineError, match=rf"a\.png: {reason}"):
            read(folder)
    with pytest.raises(RefusalError, match=reason):
        serve(folder / "a.png")


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.parquet", "a-images-idx3-ubyte"])
def test_an_array_is_the_same_in_every_form_and_at_every_entry(entries, tmp_path, name):
    images = RNG.integers(0, 256, (3, *SPEC.shape), dtype="uint8")
    file = tmp_path / name
    if name == "a.npz":
        np.savez(file, images=images[..., 0])
    elif name == "a.npy":
        np.save(file, images[..., 0])
    elif name == "a.parquet":
        write_parquet(file, images, None)
    else:
        write_idx_images(file, images)
    for entry, read in entries.items():
        np.testing.assert_array_equal(read(file), images, err_msg=entry)
