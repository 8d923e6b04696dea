import numpy as np
import pytest

from vaeline.images.limits import OWN
from vaeline.images.png import encode_png
from vaeline.images.spec import ImageSpec
from vaeline.images.tiles import Stitched, count_tiles, cut, read_tiles, starts_of, tile_places, tiles_of

SPEC = ImageSpec(height=16, width=24, channels=1, background="#404040", tile=True)
MOST = OWN.pixels


@pytest.mark.parametrize(("side", "tile"), [(16, 16), (17, 16), (28, 16), (29, 16), (1000, 64), (8000, 64), (257, 256)])
def test_tiles_cover_a_side_and_neighbours_overlap_by_a_quarter(side, tile):
    starts = starts_of(side, tile)
    assert (starts[0], starts[-1]) == (0, side - tile)
    assert (np.diff(starts) <= 0.75 * tile).all()
    assert (np.diff(starts) > 0).all()


def test_a_picture_is_its_tiles_in_reading_order_at_its_own_resolution(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 1), dtype="uint8")
    (tmp_path / "a.png").write_bytes(encode_png(picture))
    tiles = read_tiles(tmp_path / "a.png", SPEC, MOST)
    places = tile_places(40, 50, SPEC)
    assert len(tiles) == len(places) == count_tiles(40, 50, SPEC)
    assert places.tolist() == sorted(places.tolist())
    for tile, (top, left) in zip(tiles, places, strict=True):
        np.testing.assert_array_equal(tile, picture[top : top + 16, left : left + 24])
    whole = SPEC.model_copy(update={"tile": False})
    assert read_tiles(tmp_path / "a.png", whole, MOST).shape == (1, 16, 24, 1)
    assert count_tiles(40, 50, whole) == 1


def test_a_picture_that_is_smaller_than_a_tile_has_the_background_beside_it():
    (tile,) = tiles_of(np.full((10, 30, 1), 9, "uint8")[:, :24], SPEC)
    assert (tile[:10] == 9).all()
    assert (tile[10:] == 0x40).all()


@pytest.mark.parametrize("size", [(40, 50), (16, 24), (10, 100), (100, 7)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_tiles_of_a_plane_are_stitched_to_that_plane(size, channels):
    plane = np.random.default_rng(0).random((*size, *channels), dtype="float32")
    extended = np.zeros((max(size[0], 16), max(size[1], 24), *channels), "float32")
    extended[: size[0], : size[1]] = plane
    places = tile_places(*size, SPEC)
    stitched = Stitched(*size, SPEC, channels)
    for part in np.array_split(places, 3):
        if len(part):
            stitched.add(cut(extended, part, SPEC), part)
    np.testing.assert_allclose(stitched.plane(), plane, rtol=1e-4)


def test_the_spec_says_nothing_of_tiles_unless_there_are_some():
    usual = ImageSpec(height=8, width=8, channels=1)
    assert "tile" not in usual.model_dump()
    assert usual.model_copy(update={"tile": True}).model_dump()["tile"] is True
