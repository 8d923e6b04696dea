import io

import numpy as np
import pytest
from PIL import Image

from vaeline.images.arrays import to_unit
from vaeline.images.errors import UnreadableImagesError
from vaeline.images.pictures import fit_picture, read_picture
from vaeline.images.png import encode_png, save_picture
from vaeline.images.spec import ImageSpec

RNG = np.random.default_rng(0)
GREY = ImageSpec(height=28, width=28, channels=1)
COLOUR = ImageSpec(height=20, width=24, channels=3)
MOST = 10**6


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
    with pytest.raises(UnreadableImagesError, match=r"a\.png: not a PNG or JPEG") as error:
        read_picture(tmp_path / "a.png", GREY, MOST)
    assert error.value.file == tmp_path / "a.png"
    with pytest.raises(UnreadableImagesError, match=r"^an empty file$"):
        read_picture(io.BytesIO(), GREY, MOST)
    with pytest.raises(UnreadableImagesError, match=r"^not a PNG picture"):
        read_picture(io.BytesIO(b"no"), GREY, MOST, formats=("PNG",))
