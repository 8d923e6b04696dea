import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from vaeline.images.arrays import to_unit
from vaeline.images.errors import UnreadableImagesError
from vaeline.images.limits import OWN
from vaeline.images.pictures import Header, fit_picture, read_header, read_picture
from vaeline.images.png import encode_png, save_picture
from vaeline.images.spec import ImageSpec

RNG = np.random.default_rng(0)
GREY = ImageSpec(height=28, width=28, channels=1)
COLOUR = ImageSpec(height=20, width=24, channels=3)
MOST = OWN.pixels


def test_proportions_are_kept_and_the_rest_is_black():
    fitted = fit_picture(Image.new("RGB", (40, 20), "white"), GREY)
    assert fitted.shape == (28, 28, 1)
    assert (fitted[7:21] == 255).all()
    assert not fitted[:7].any()
    assert not fitted[21:].any()


@pytest.mark.parametrize("spec", [GREY, COLOUR])
def test_a_saved_picture_comes_back(tmp_path, spec):
    image = RNG.integers(0, 256, spec.shape, dtype="uint8")
    save_picture(to_unit(image), tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", spec, MOST), image)
    np.testing.assert_array_equal(read_picture(io.BytesIO(encode_png(image)), spec, MOST), image)


def test_texts_go_with_a_picture():
    content = encode_png(np.zeros(GREY.shape, "uint8"), {"vaeline.name": "größe"})
    assert Image.open(io.BytesIO(content)).text == {"vaeline.name": "größe"}


def test_colour_and_grey_become_each_other(tmp_path):
    red = Image.new("RGB", (24, 20), (200, 0, 0))
    red.save(tmp_path / "red.png")
    assert (read_picture(tmp_path / "red.png", COLOUR, MOST) == (200, 0, 0)).all()
    grey = read_picture(tmp_path / "red.png", ImageSpec(height=20, width=24, channels=1), MOST)
    assert (grey == round(0.299 * 200)).all()
    Image.fromarray((np.arange(20 * 24).reshape(20, 24) * 100).astype("uint16")).save(tmp_path / "deep.png")
    deep = read_picture(tmp_path / "deep.png", COLOUR, MOST)
    assert (deep[..., 0] == deep[..., 2]).all()
    assert deep[0, 10, 0] == round(1000 / 257)


def test_the_reason_names_the_file_where_there_is_one(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no")
    with pytest.raises(UnreadableImagesError, match=r"a\.png: not a PNG, JPEG") as error:
        read_picture(tmp_path / "a.png", GREY, MOST)
    assert error.value.file == tmp_path / "a.png"
    with pytest.raises(UnreadableImagesError, match=r"^an empty file$"):
        read_picture(io.BytesIO(), GREY, MOST)
    with pytest.raises(UnreadableImagesError, match=r"^not a PNG picture"):
        read_picture(io.BytesIO(b"no"), GREY, MOST, formats=("PNG",))


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        ("pad", [[9, 9], [200, 200], [200, 200], [9, 9]]),
        ("crop", [[200, 200]] * 4),
        ("stretch", [[200, 200]] * 4),
    ],
)
def test_a_picture_is_fitted_as_the_spec_says(fit, expected):
    spec = ImageSpec(height=4, width=2, channels=1, fit=fit, background="#090909")
    assert fit_picture(Image.new("L", (6, 6), 200), spec)[..., 0].tolist() == expected


def test_crop_cuts_both_sides_and_stretch_keeps_them():
    ramp = Image.fromarray(np.tile(np.arange(0, 240, 10, dtype="uint8"), (8, 1)))
    crop, stretch = (
        fit_picture(ramp, ImageSpec(height=8, width=8, channels=1, fit=fit))[0, :, 0] for fit in ("crop", "stretch")
    )
    assert (crop[0], crop[-1]) == (80, 150)
    assert stretch[0] < 20
    assert stretch[-1] > 210


def test_transparent_parts_show_the_background(tmp_path):
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "a.png")
    spec = ImageSpec(height=8, width=8, channels=3, background="#204060")
    assert read_picture(tmp_path / "a.png", spec, MOST)[3, 3].tolist() == [0x20, 0x40, 0x60]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.bmp", "a.tiff", "a.gif"])
def test_every_format_gives_its_colours(tmp_path, name):
    options = {"quality": 100} if name in ("a.jpg", "a.webp") else {}
    Image.new("RGB", (24, 20), (200, 40, 90)).save(tmp_path / name, **options)
    assert np.abs(read_picture(tmp_path / name, COLOUR, MOST)[10, 12].astype(int) - (200, 40, 90)).max() <= 4


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (24, 20), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    red, green, blue = read_picture(tmp_path / "a.jpg", COLOUR, MOST)[10, 12].astype(int)
    assert red > 220
    assert max(green, blue) < 60


def profile_with_red_and_blue_exchanged() -> bytes:
    """The profile of sRGB under another name, its two tags rXYZ and bXYZ exchanged."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    entries = {bytes(content[at : at + 4]): at for at in range(132, 132 + 12 * content[131], 12)}
    red, blue = entries[b"rXYZ"], entries[b"bXYZ"]
    content[red : red + 4], content[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(content).replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))


def test_colours_of_a_profile_become_srgb(tmp_path):
    profiles = {
        "srgb": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        "broken": b"no profile",
        "exchanged": profile_with_red_and_blue_exchanged(),
    }
    found = {}
    for name, profile in profiles.items():
        Image.new("RGB", (24, 20), (200, 40, 90)).save(tmp_path / f"{name}.png", icc_profile=profile)
        found[name] = read_picture(tmp_path / f"{name}.png", COLOUR, MOST)[10, 12].tolist()
    assert found["srgb"] == found["broken"] == [200, 40, 90]
    np.testing.assert_allclose(found["exchanged"], [90, 40, 200], atol=2)


def test_a_header_says_size_after_turning_colour_and_frames(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(tmp_path / "turned.jpg", exif=exif)
    Image.new("L", (30, 20)).convert("P").save(tmp_path / "grey.png")
    frames = [Image.new("L", (30, 20), level) for level in (0, 100, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_header(tmp_path / "turned.jpg", MOST) == Header(30, 20, True, 1)
    assert not read_header(tmp_path / "grey.png", MOST).has_colour
    assert read_header(tmp_path / "a.gif", MOST).frames == 3


def test_floating_point_pixels_are_refused(tmp_path):
    Image.fromarray(np.zeros((20, 24), "float32")).save(tmp_path / "a.tiff")
    with pytest.raises(UnreadableImagesError, match=r"a\.tiff: its pixels are floating-point numbers"):
        read_picture(tmp_path / "a.tiff", COLOUR, MOST)
