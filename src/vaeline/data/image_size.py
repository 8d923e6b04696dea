"""The size in which the images of a source are kept, where `data.image` leaves it open."""

from collections.abc import Sequence

from vaeline.errors import VaelineError
from vaeline.images.pictures import Header
from vaeline.images.spec import BLACK, ImageSpec
from vaeline.params.data import AUTO, ImageParams

MOST_OWN_SIDE = 64
"""Pictures up to this side keep their size where all agree; others become squares of this side."""
GREY_BACKGROUND = "#808080"


def choose_spec(headers: Sequence[Header], settings: ImageParams) -> tuple[ImageSpec, str]:
    """The spec for pictures with these headers, and one sentence that says what was chosen and why."""
    sizes = {(header.height, header.width) for header in headers}
    coloured = sum(header.has_colour for header in headers)
    height, width = min(sizes)
    if len(sizes) == 1 and max(height, width) <= MOST_OWN_SIDE and not settings.tile:
        reason = f"all {len(headers):,} pictures have this size"
    else:
        smallest, largest = min(sizes), max(sizes)
        found = f"{smallest[0]} × {smallest[1]}" + (f" to {largest[0]} × {largest[1]}" if len(sizes) > 1 else "")
        reason = f"the pictures have {len(sizes):,} size{'s' if len(sizes) > 1 else ''}, {found}"
        height = width = MOST_OWN_SIDE
    channels = 3 if coloured else 1
    chosen = {
        "height": height if settings.height == AUTO else settings.height,
        "width": width if settings.width == AUTO else settings.width,
        "channels": channels if settings.channels == AUTO else settings.channels,
        "fit": settings.fit,
        "background": background_of(settings),
        "ink": settings.ink is True,
        "tile": settings.tile,
    }
    spec = ImageSpec.model_validate(chosen)
    if settings.tile:
        reason += ", and are cut into tiles"
    if AUTO in (settings.height, settings.width, settings.channels):
        return spec, f"{spec}: {reason}, and {coloured:,} of {len(headers):,} have colour (data.image: auto)"
    return spec, f"{spec}, as data.image says"


def fill_in(own: ImageSpec, settings: ImageParams) -> ImageSpec:
    """The spec of a built-in data set: what `settings` leave open is that of its images, light ink on black.

    Raises:
        VaelineError: the images are to be cut into tiles.
    """
    if settings.tile:
        raise VaelineError("data.image.tile cuts pictures of your own; set it to false for a built-in data set")
    chosen = settings.model_dump()
    chosen |= {name: getattr(own, name) for name in ("height", "width", "channels") if chosen[name] == AUTO}
    chosen |= {"background": BLACK} if settings.background == AUTO else {}
    return ImageSpec.model_validate(chosen | {"ink": None if settings.ink == AUTO else settings.ink})


def background_of(settings: ImageParams) -> str:
    """The background of own pictures: black behind ink, else grey, where the settings leave it open."""
    if settings.background != AUTO:
        return settings.background
    return BLACK if settings.ink is True else GREY_BACKGROUND


def given_spec(settings: ImageParams) -> ImageSpec | None:
    """The size that `settings` name; None if they leave a part of it open."""
    size = {"height": settings.height, "width": settings.width, "channels": settings.channels}
    return None if AUTO in size.values() else ImageSpec.model_validate(size)
