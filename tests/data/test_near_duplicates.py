import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from vaeline.data import near_duplicates
from vaeline.data.near_duplicates import find_duplicates, join, look_alike, make_thumbnails, perceptual_hashes
from vaeline.images.arrays import luminance


def photographs(count, height=40, width=48, seed=0):
    """Smooth pictures in colour with some noise."""
    rng = np.random.default_rng(seed)
    smooth = [
        Image.fromarray(rng.integers(0, 256, (12, 14, 3), dtype="uint8")).resize((width, height)) for _ in range(count)
    ]
    noisy = np.stack([np.asarray(picture) for picture in smooth]) + rng.normal(0, 3, (count, height, width, 3))
    return np.clip(noisy, 0, 255).astype("uint8")


def saved_as_jpeg(image):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=60)
    return np.asarray(Image.open(stream))


def brighter(image):
    return np.asarray(ImageEnhance.Brightness(Image.fromarray(image)).enhance(1.08))


def smaller_and_back(image):
    height, width = image.shape[:2]
    return np.asarray(Image.fromarray(image).resize((width // 2, height // 2)).resize((width, height)))


@pytest.mark.parametrize("change", [saved_as_jpeg, brighter, smaller_and_back])
@pytest.mark.parametrize("channels", [1, 3])
def test_changed_copies_look_alike_and_others_do_not(change, channels):
    images = photographs(60)
    copies = np.stack([change(image) for image in images[:20]])
    every = np.concatenate([images, copies])
    if channels == 1:
        every = every.mean(axis=3, keepdims=True).astype("uint8")
    found = find_duplicates([every], np.arange(80))
    assert len(np.unique(found.equal)) == 80
    np.testing.assert_array_equal(found.alike[60:], found.alike[:20])
    assert len(np.unique(found.alike)) == 60


def test_equal_images_are_found_in_all_parts_and_among_chosen_rows():
    images = photographs(6, 8, 8)
    parts = [images, images[[4, 0]]]
    found = find_duplicates(parts, np.arange(8))
    assert found.equal[6] == found.equal[4]
    assert found.alike[7] == found.alike[0]
    assert len(np.unique(find_duplicates(parts, np.array([1, 2, 6, 3])).alike)) == 4


def test_flat_images_of_other_levels_and_colours_differ():
    levels = np.array([[0, 0, 0], [255, 255, 255], [128, 128, 128], [200, 0, 0], [0, 102, 0]], "uint8")
    images = np.broadcast_to(levels[:, None, None], (5, 16, 16, 3)) + np.zeros((5, 16, 16, 3), "uint8")
    assert len(np.unique(find_duplicates([images], np.arange(5)).alike)) == 5


def test_pictures_of_one_kind_with_other_details_do_not_look_alike():
    rng = np.random.default_rng(0)
    smooth = np.asarray(Image.fromarray(rng.integers(60, 180, (4, 4, 3), dtype="uint8")).resize((48, 48)))
    images = np.stack([np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 255) for _ in range(4)]).astype("uint8")
    assert not look_alike(images[:2], images[2:]).any()
    assert look_alike(images, np.clip(images * 0.9 + 8, 0, 255).astype("uint8")).all()


def test_a_hash_holds_the_lowest_frequencies_of_any_size():
    image = photographs(1, 64, 64)
    small = np.asarray(Image.fromarray(image[0]).resize((32, 32)))[None]
    hashes = [perceptual_hashes(make_thumbnails(images))[0] for images in (image, small, image[:, ::-1])]
    assert np.bitwise_count(hashes[0] ^ hashes[1]) <= 2
    assert np.bitwise_count(hashes[0] ^ hashes[2]) > 10
    assert make_thumbnails(image[:, :33, :8])[0].shape == (32, 8)
    assert make_thumbnails(image).mean() == pytest.approx(luminance(image).mean())


def test_every_pair_of_near_hashes_is_compared():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**63, 3000, dtype="uint64") * np.uint64(2) + rng.integers(0, 2, 3000, dtype="uint64")
    bits = np.array([rng.choice(64, 4, replace=False) for _ in range(1000)]).astype("uint64")
    hashes[2000:] = hashes[:1000] ^ (np.uint64(1) << bits).sum(axis=1, dtype="uint64")
    found = np.concatenate(list(near_duplicates._candidates(hashes, 4)), axis=1)
    assert {tuple(sorted(pair)) for pair in found.T} >= {(row, row + 2000) for row in range(1000)}


def test_pairs_join_their_groups():
    groups = join(np.array([0, 0, 1, 2, 3]), np.array([1]), np.array([3]))
    assert groups[0] == groups[1] == groups[3]
    assert len(set(groups)) == 3
