"""The size of an image, its number of channels, and how a picture of another size becomes one of this size."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from vaeline.errors import VaelineError

COLOURS = {1: "grey", 3: "colour"}
BLACK = "#000000"
HEX_COLOUR = r"^#[0-9a-f]{6}$"

Fit = Literal["pad", "crop", "stretch"]


class ImageSpec(BaseModel):
    """Height and width in pixels, and channels: 1 for grey, 3 for colour (red, green, blue).

    fit: how a picture of other proportions is fitted. `pad` shows all of it and the background beside it, `crop` cuts
        off what is too much on both sides, `stretch` changes the proportions.
    background: the colour beside a picture and below its transparent parts, as `#rrggbb`.
    ink: whether the images are light ink on black, such as handwritten digits, which figures draw as ink on paper. If
        it is not given, grey images are ink, as in records of earlier versions.
    tile: whether a picture is cut into overlapping tiles of this size, at its own resolution, instead of being fitted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: PositiveInt
    width: PositiveInt
    channels: Literal[1, 3]
    fit: Fit = "pad"
    background: str = Field(BLACK, pattern=HEX_COLOUR)
    ink: bool | None = None
    tile: bool = False

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is as usual: records and archives of earlier versions have only the first three."""
        usual = {"fit": "pad", "background": BLACK, "ink": None, "tile": False}
        return {name: value for name, value in handler(self).items() if name not in usual or usual[name] != value}

    @classmethod
    def of_shape(cls, shape: tuple[int, ...]) -> Self:
        """The spec of images whose shape ends in (height, width, channels).

        Raises:
            VaelineError: the shape does not end in this way, or the number of channels is neither 1 nor 3.
        """
        if len(shape) < 3 or shape[-1] not in COLOURS or min(shape[-3:]) < 1:
            raise VaelineError(f"an array of shape {tuple(shape)} holds no images (…, height, width, 1 or 3 channels)")
        return cls.model_validate(dict(zip(("height", "width", "channels"), map(int, shape[-3:]), strict=True)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels

    @property
    def is_ink(self) -> bool:
        """Whether figures exchange light and dark."""
        return self.channels == 1 if self.ink is None else self.ink

    @property
    def pixels(self) -> int:
        """Height × width."""
        return self.height * self.width

    @property
    def dimensions(self) -> int:
        """Height × width × channels: how many numbers one image holds."""
        return self.height * self.width * self.channels

    def __str__(self) -> str:
        """The size in messages, height before width: `28 × 28, grey`, `64 × 48, colour`."""
        return f"{self.height} × {self.width}, {COLOURS[self.channels]}"


def parse_spec(content: Any, where: str) -> ImageSpec:
    """The spec from a mapping with height, width and channels, as `ImageSpec.model_dump` gives it.

    Raises:
        VaelineError: the content is no such mapping; the message begins with `where`.
    """
    if not isinstance(content, Mapping):
        raise VaelineError(f"{where}: image must give height, width and channels, not {content!r}")
    try:
        return ImageSpec.model_validate(dict(content))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise VaelineError(f"{where}: image must give height, width and channels ({problems})") from None


def with_image(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration in a model's archive, with the size of its images under `image`: height, width and channels.

    Archives that were made before images had channels say `image_shape`, [height, width]; their images are grey.
    """
    if "image_shape" not in config:
        return dict(config)
    height, width = config["image_shape"]
    others = {name: value for name, value in config.items() if name != "image_shape"}
    return {**others, "image": {"height": height, "width": width, "channels": 1}}
