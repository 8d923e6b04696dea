import pytest

from vaeline.data.image_size import choose_spec, fill_in
from vaeline.images.pictures import Header
from vaeline.images.spec import ImageSpec
from vaeline.params.data import ImageParams

AUTO = {"height": "auto", "width": "auto", "channels": "auto", "fit": "pad", "background": "auto", "ink": "auto"}


def headers(*sizes, has_colour=False):
    return [Header(height, width, has_colour, 1) for height, width in sizes]


@pytest.mark.parametrize(
    ("found", "size", "reason"),
    [
        (headers((33, 47), (33, 47)), (33, 47, 1), "all 2 pictures have this size"),
        (headers((64, 64), has_colour=True), (64, 64, 3), "all 1 pictures have this size"),
        (headers((65, 64)), (64, 64, 1), "the pictures have 1 size, 65 × 64"),
        (headers((20, 30), (30, 20), has_colour=True), (64, 64, 3), "the pictures have 2 sizes, 20 × 30 to 30 × 20"),
        (headers((8, 8)) + headers((8, 8), has_colour=True), (8, 8, 3), "1 of 2 have colour"),
    ],
)
def test_auto_keeps_small_pictures_of_one_size_and_says_why(found, size, reason):
    spec, sentence = choose_spec(found, ImageParams(**AUTO))
    assert spec.shape == size
    assert (spec.fit, spec.background) == ("pad", "#808080")
    assert reason in sentence


def test_what_is_given_is_taken():
    given = {"height": 100, "width": 90, "channels": 1, "fit": "crop", "background": "#ffffff", "ink": False}
    spec, sentence = choose_spec(headers((20, 30), has_colour=True), ImageParams(**given))
    assert spec == ImageSpec.model_validate(given)
    assert sentence == "100 × 90, grey, as data.image says"
    half, _ = choose_spec(headers((20, 30), has_colour=True), ImageParams(**AUTO | {"height": 40}))
    assert half.shape == (40, 30, 3)


def test_ink_stands_on_black():
    spec, _ = choose_spec(headers((20, 30)), ImageParams(**AUTO | {"ink": True}))
    assert (spec.is_ink, spec.background) == (True, "#000000")
    assert not choose_spec(headers((20, 30)), ImageParams(**AUTO))[0].is_ink


def test_built_in_sets_keep_their_size_and_their_black():
    mnist = ImageSpec(height=28, width=28, channels=1)
    assert fill_in(mnist, ImageParams(**AUTO)) == mnist
    assert fill_in(mnist, ImageParams(**AUTO | {"height": 32, "width": 32})).shape == (32, 32, 1)
