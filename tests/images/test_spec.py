import pytest
from pydantic import ValidationError

from vaeline.errors import VaelineError
from vaeline.images.spec import ImageSpec, parse_spec


def test_a_spec_has_a_shape_a_plain_form_and_words():
    grey, colour = ImageSpec(height=28, width=20, channels=1), ImageSpec(height=64, width=48, channels=3)
    assert grey.shape == (28, 20, 1)
    assert (colour.pixels, colour.dimensions) == (64 * 48, 64 * 48 * 3)
    assert [str(grey), str(colour)] == ["28 × 20, grey", "64 × 48, colour"]
    assert parse_spec(colour.model_dump(), "manifest") == colour
    assert ImageSpec.of_shape((100, 64, 48, 3)) == colour
    assert hash(grey) != hash(colour)


def test_what_is_as_usual_is_not_written_so_that_old_records_stay_equal():
    usual = {"height": 28, "width": 28, "channels": 1}
    assert ImageSpec(**usual).model_dump() == usual
    other = usual | {"fit": "crop", "background": "#808080", "ink": False}
    assert ImageSpec(**other).model_dump() == other
    assert parse_spec(other, "manifest").model_dump(mode="json") == other


@pytest.mark.parametrize(
    ("channels", "ink", "is_ink"), [(1, None, True), (3, None, False), (1, False, False), (3, True, True)]
)
def test_grey_images_are_ink_unless_the_record_says_otherwise(channels, ink, is_ink):
    assert ImageSpec(height=8, width=8, channels=channels, ink=ink).is_ink is is_ink


@pytest.mark.parametrize(
    "content",
    [None, [28, 28], {"height": 28, "width": 28}, {"height": 0, "width": 28, "channels": 1}]
    + [{"height": 28, "width": 28, "channels": channels} for channels in (2, 4)]
    + [{"height": 28, "width": 28, "channels": 1, "depth": 8}],
)
def test_what_is_no_spec_is_refused_with_its_place(content):
    with pytest.raises(VaelineError, match=r"manifest\.json: image must give height, width and channels"):
        parse_spec(content, "manifest.json")


@pytest.mark.parametrize("shape", [(28, 28), (3, 28, 28), (3, 28, 28, 4), (0, 28, 1)])
def test_an_array_of_another_shape_has_no_spec(shape):
    with pytest.raises(VaelineError, match="holds no images"):
        ImageSpec.of_shape(shape)


def test_a_spec_cannot_be_changed():
    with pytest.raises(ValidationError):
        ImageSpec(height=28, width=28, channels=1).height = 3
