import struct
import zlib
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from vaeline.errors import VaelineError
from vaeline.images.idx import write_idx
from vaeline.images.limits import OWN
from vaeline.images.named import read_named_images
from vaeline.images.spec import ImageSpec

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (28, 28), dtype="uint8")
SPEC = ImageSpec(height=28, width=28, channels=1)
SHAPE = (28, 28)


def read(*paths, spec=SPEC, invert=False, limits=OWN):
    return read_named_images(paths, spec, invert, limits)


def save(path, picture, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    return path


def array(path, values):
    np.save(path, values)
    return path


def test_a_picture_of_the_models_size_is_read_as_it_was_trained_on(tmp_path):
    found = read(save(tmp_path / "a.png", Image.fromarray(GREY)))
    assert found.images.dtype == np.float32
    np.testing.assert_array_equal(found.images[0, ..., 0], GREY.astype("float32") / 255)


def test_folders_are_read_by_name_with_their_sub_folders_and_nothing_twice(tmp_path):
    for name in ("b/2.png", "b/1.JPG", "a.jpeg", ".hidden.png", "b/notes.txt"):
        save(tmp_path / name, Image.fromarray(GREY), format="PNG" if name.endswith(".txt") else None)
    array(tmp_path / "c.npy", GREY)
    found = read(tmp_path, tmp_path / "a.jpeg")
    assert found.names == tuple(str(tmp_path / name) for name in ("a.jpeg", "b/1.JPG", "b/2.png", "c.npy"))
    assert not found.skipped


def test_other_sizes_keep_their_proportions_with_black_beside(tmp_path):
    file = save(tmp_path / "wide.png", Image.new("RGB", (60, 20), "white"))
    image = read(file, spec=ImageSpec(height=16, width=24, channels=1)).images[0]
    assert image.shape == (16, 24, 1)
    assert (image[4:12] == 1).all()
    assert not image[:4].any()
    assert not image[12:].any()


def test_every_form_of_an_image_can_be_named_and_inverted(tmp_path):
    np.savez(tmp_path / "a.npz", images=GREY[None])
    write_idx(tmp_path / "a-images-idx3-ubyte", GREY[None])
    column = pa.array([GREY.reshape(-1)], pa.list_(pa.uint8()))
    pq.write_table(pa.table({"image": column}), tmp_path / "a.parquet")
    array(tmp_path / "a.npy", GREY)
    save(tmp_path / "a.png", Image.fromarray(GREY))
    for invert, expected in ((False, GREY), (True, 255 - GREY)):
        for file in sorted(tmp_path.iterdir()):
            image = read(file, invert=invert).images[0, ..., 0]
            np.testing.assert_array_equal(image, expected.astype("float32") / 255, err_msg=str(file))


def test_pictures_of_other_formats_in_a_folder_are_named(tmp_path):
    save(tmp_path / "a.png", Image.fromarray(GREY))
    save(tmp_path / "b.ppm", Image.fromarray(GREY))
    found = read(tmp_path)
    assert len(found.images) == 1
    assert found.skipped == ((tmp_path / "b.ppm", "not one of PNG, JPEG, WebP, BMP, TIFF or GIF; convert it"),)


def test_inverting_makes_dark_ink_bright_and_pads_with_black(tmp_path):
    scan = Image.new("L", (56, 28), "white")
    scan.paste(0, (20, 10, 36, 18))
    image = read(save(tmp_path / "scan.jpg", scan, quality=100), invert=True).images[0]
    assert image[14, 14] > 0.9
    assert not image[:6].any()
    assert image[8, 2] < 0.05


def test_transparency_shows_the_paper(tmp_path):
    clear = Image.new("RGBA", SHAPE, (255, 0, 0, 0))
    clear.paste((128, 128, 128, 255), (10, 10, 18, 18))
    file = save(tmp_path / "clear.png", clear)
    for invert in (False, True):
        image = read(file, invert=invert).images[0]
        assert not image[0].any()
        assert image[14, 14] == pytest.approx(0.5, abs=0.01)


def test_a_palette_and_sixteen_bits_are_greys_of_the_same_brightness(tmp_path):
    deep = save(tmp_path / "deep.png", Image.fromarray(GREY.astype("uint16") * 257))
    palette = save(tmp_path / "palette.png", Image.fromarray(GREY).convert("P"))
    for file in (deep, palette):
        np.testing.assert_allclose(read(file).images[0, ..., 0], GREY / 255, atol=1e-6)


def test_a_photo_is_turned_as_its_camera_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3
    upside_down = save(tmp_path / "a.png", Image.fromarray(GREY[::-1, ::-1]), exif=exif)
    np.testing.assert_allclose(read(upside_down).images[0, ..., 0], GREY / 255, atol=1e-6)


def test_arrays_hold_one_image_or_a_stack_of_bytes_or_floats(tmp_path):
    floats = RNG.random((3, 28, 28))
    found = read(
        array(tmp_path / "a.npy", floats), array(tmp_path / "b.npy", GREY), array(tmp_path / "c.npy", GREY[None])
    )
    assert [name.rpartition("/")[2] for name in found.names] == ["a.npy[0]", "a.npy[1]", "a.npy[2]", "b.npy", "c.npy"]
    np.testing.assert_array_equal(found.images[:3, ..., 0], floats.astype("float32"))
    np.testing.assert_array_equal(found.images[3, ..., 0], GREY.astype("float32") / 255)


def test_arrays_of_another_size_are_fitted_like_pictures(tmp_path):
    large = RNG.integers(0, 256, (2, 40, 50), dtype="uint8")
    bytes_file, floats_file = array(tmp_path / "a.npy", large), array(tmp_path / "b.npy", large / 255)
    picture = save(tmp_path / "c.png", Image.fromarray(large[1]))
    np.testing.assert_array_equal(read(bytes_file).images, read(floats_file).images)
    np.testing.assert_array_equal(read(bytes_file).images[1], read(picture).images[0])


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_bomb(path):
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


def truncated(path):
    save(path, Image.fromarray(RNG.integers(0, 256, (80, 80), dtype="uint8")))
    path.write_bytes(path.read_bytes()[:3000])
    return path


def written(path, content):
    path.write_bytes(content)
    return path


def with_nan(path):
    values = np.zeros(SHAPE)
    values[3, 3] = np.nan
    return array(path, values)


def folder(path):
    path.mkdir()
    return path


BROKEN = [
    (lambda at: written(at / "x.png", b""), "an empty file"),
    (lambda at: written(at / "x.jpg", b"no picture"), "not a PNG, JPEG, WebP, BMP, TIFF or GIF picture"),
    (
        lambda at: save(at / "x.png", Image.fromarray(GREY), format="PPM"),
        "not a PNG, JPEG, WebP, BMP, TIFF or GIF picture",
    ),
    (lambda at: truncated(at / "x.png"), "a broken picture"),
    (lambda at: truncated(at / "x.jpg"), "a broken picture"),
    (lambda at: png_bomb(at / "x.png"), "too large"),
    (lambda at: written(at / "x.npy", b""), "an empty file"),
    (lambda at: written(at / "x.npy", array(at / "y.npy", GREY).read_bytes()[:-1]), "cut off, or no .npy array"),
    (lambda at: array(at / "x.npy", np.array([{"a": 1}])), "pickles are not read"),
    (lambda at: array(at / "x.npy", GREY.astype("int64")), "holds int64 values; save uint8"),
    (lambda at: array(at / "x.npy", GREY > 9), "holds bool values"),
    (lambda at: array(at / "x.npy", GREY[0]), r"have shape \(28,\)"),
    (lambda at: array(at / "x.npy", GREY[None, None]), r"have shape \(1, 1, 28, 28\)"),
    (lambda at: array(at / "x.npy", GREY[:0]), r"have shape \(1, 0, 28\)"),
    (lambda at: array(at / "x.npy", GREY * 1.0), "holds floats from 0 to 255; they must lie in 0 to 1"),
    (lambda at: with_nan(at / "x.npy"), "holds NaN"),
    (lambda at: written(at / "x.heic", b"II"), r"neither a picture \(PNG, JPEG, WebP, BMP, TIFF, GIF\) nor .npy"),
    (lambda at: at / "x.png", "no such file or folder"),
    (lambda at: folder(at / "x"), "holds no pictures"),
    (lambda at: written(at / "x.npz", b"PK"), "not a readable .npz"),
    (lambda at: written(at / "x-ubyte", b"12"), "not an IDX file"),
]


@pytest.mark.parametrize(("make", "reason"), BROKEN)
def test_what_cannot_be_read_is_skipped_with_its_reason_and_the_rest_is_read(tmp_path, make, reason):
    bad, good = make(tmp_path), array(tmp_path / "good.npy", GREY)
    with pytest.raises(VaelineError, match=rf"no picture could be read: .*{bad.name}: .*{reason}"):
        read(bad)
    found = read(bad, good)
    assert found.names == (str(good),)
    assert [path for path, _ in found.skipped] == [bad]


def test_a_size_between_pillows_limits_is_refused_without_reading_it(tmp_path):
    file, stack = save(tmp_path / "a.png", Image.new("L", (40, 30))), array(tmp_path / "a.npy", np.zeros((30, 40)))
    for path in (file, stack):
        with pytest.raises(
            VaelineError,
            match=r"too large: 30 × 40 pixels .*, at most 1,000 are read \(data\.limits\.pixels\)",
        ):
            read(path, limits=replace(OWN, pixels=replace(OWN.pixels, most=1000)))


def test_many_reasons_are_not_all_repeated(tmp_path):
    with pytest.raises(VaelineError, match=r"4\.png: .*; and 2 more$") as error:
        read(*(tmp_path / f"{name}.png" for name in (2, 3, 4, 5, 6)))
    assert "5.png" not in str(error.value)
