"""Bodies of requests and answers: arrays in JSON, PNG pictures alone or as base64 in JSON."""

import base64
import binascii
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pydantic_core
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from vaeline.images.arrays import tile, to_uint8, to_unit
from vaeline.images.errors import UnreadableImagesError
from vaeline.images.pictures import read_picture
from vaeline.images.png import encode_png
from vaeline.images.spec import ImageSpec
from vaeline.pyfunc.answers import Answer, as_lists
from vaeline.serving.refusal import RefusalError
from vaeline.serving.resolved import Identity
from vaeline.serving.settings import Settings

JSON, PNG = "application/json", "image/png"
SHOWN = 80


def read_images(body: bytes, kind: str, image: ImageSpec, settings: Settings) -> np.ndarray:
    """The images (n, height, width, channels) of a body of JSON or of one PNG.

    Pictures of other sizes are fitted into the size `image`. Arrays of grey images may leave out the channel.

    Raises:
        RefusalError: it is none, it holds too many, or values that are no numbers.
    """
    if kind == PNG:
        return _read_pictures([body], image, settings)
    content = _read_object(body, kind, (JSON, PNG), ("images", "png"))
    if "images" in content:
        images = _as_stack(_read_numbers(content["images"], "images"), image)
        _check_count(len(images), settings.most_images)
        return images
    given = content["png"]
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise RefusalError(422, "png must be a picture as base64 text, or a list of them")
    _check_count(len(texts), settings.most_images)
    return _read_pictures([_from_base64(text, row) for row, text in enumerate(texts)], image, settings)


def read_latents(body: bytes, kind: str, image: ImageSpec, settings: Settings) -> np.ndarray:
    """The latents (n, latent_dim) of a body of JSON, whatever the size of `image`. Raises RefusalError likewise."""
    content = _read_object(body, kind, (JSON,), ("latents",))
    numbers = _read_numbers(content["latents"], "latents")
    latents = numbers[None] if numbers.ndim == 1 else numbers
    _check_count(len(latents), settings.most_images)
    return latents


def write_json(identity: Identity, found: Answer, pictures: bool) -> bytes:
    """An answer with the model's name; `pictures` writes images as PNGs in base64 under the name `png`."""
    if pictures and "images" in found:
        drawn = [base64.b64encode(_encode_png(image, identity)).decode() for image in to_uint8(found["images"])]
        return pydantic_core.to_json({"model": describe(identity), "png": drawn})
    return pydantic_core.to_json({"model": describe(identity), **as_lists(_without_grey_axis(found))})


def write_sheet(identity: Identity, images: np.ndarray) -> bytes:
    """Images (n, height, width, channels) in [0, 1] as one PNG, ceil(√n) a row, black where there are none left.

    The picture's text chunks name the model.
    """
    count, *shape = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    sheet = np.zeros((rows * columns, *shape), "uint8")
    sheet[:count] = to_uint8(images)
    return _encode_png(tile(sheet.reshape(rows, columns, *shape)), identity)


def describe(identity: Identity) -> dict[str, str | None]:
    """How answers name a model."""
    return {
        "uri": identity.uri,
        "name": identity.name,
        "version": identity.version,
        "digest": identity.digest,
    }


def choose_kind(accept: str, offered: Sequence[str]) -> str:
    """The one of the `offered` media types that an Accept header asks for; the first where it leaves the choice.

    Raises:
        RefusalError: it takes none of them (406).
    """
    accepted = parse_accept_header(accept.strip() or "*/*", MIMEAccept)
    best = max(offered, key=accepted.quality)
    if not accepted.quality(best):
        raise RefusalError(406, f"this answers {' or '.join(offered)}, which the Accept header does not take")
    return best


def _read_object(body: bytes, kind: str, kinds: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """A JSON object with just one of `names`."""
    if kind != JSON:
        raise RefusalError(415, f"send {' or '.join(kinds)}, and name it in the Content-Type header")
    try:
        content = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise RefusalError(400, f"the body is no JSON: {_short(str(error))}") from None
    if not isinstance(content, dict) or len(content) != 1 or not content.keys() <= set(names):
        raise RefusalError(422, f"the body must be a JSON object with {' or '.join(names)}, and nothing else")
    return content


def _as_stack(numbers: np.ndarray, image: ImageSpec) -> np.ndarray:
    """One image or several as (n, height, width, channels); what has another shape is left for the model to refuse."""
    plane = image.shape[:2]
    if image.channels == 1 and (numbers.shape == plane or numbers.shape[1:] == plane):
        numbers = numbers[..., None]
    return numbers[None] if numbers.shape == image.shape else numbers


def _without_grey_axis(found: Answer) -> Answer:
    """An answer whose grey images are (n, height, width), as JSON shows them."""
    return {
        name: values[..., 0] if name == "images" and values.shape[-1] == 1 else values for name, values in found.items()
    }


def _read_numbers(values: Any, name: str) -> np.ndarray:
    """Numbers as a float32 array."""
    if not isinstance(values, list):
        raise RefusalError(422, f"{name} must be a list of numbers")
    try:
        array = np.asarray(values, dtype=object)  # of strings, any other dtype makes room for the longest in each place
        if not set(map(type, array.ravel().tolist())) <= {int, float}:
            raise TypeError
        with np.errstate(over="ignore"):  # what is too large becomes infinite, which no model takes
            return array.astype("float32")
    except (ValueError, TypeError, OverflowError):
        raise RefusalError(422, f"{name} must be numbers, in lists of equal lengths") from None


def _read_pictures(bodies: Sequence[bytes], image: ImageSpec, settings: Settings) -> np.ndarray:
    """Each PNG as an image; they have an equal part each of `most_pixels`."""
    if not bodies:
        raise RefusalError(422, "png must hold at least one picture")
    images, most = [], settings.most_pixels // len(bodies)
    for row, body in enumerate(bodies):
        try:
            images.append(read_picture(io.BytesIO(body), image, most, formats=("PNG",)))
        except UnreadableImagesError as error:
            name = f"png[{row}]" if len(bodies) > 1 else "the picture"
            raise RefusalError(400, f"{name}: {_short(error.reason)}") from None
    return to_unit(np.stack(images))


def _from_base64(text: str, row: int) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RefusalError(400, f"png[{row}] is no base64") from None


def _check_count(count: int, most: int) -> None:
    if count > most:
        raise RefusalError(413, f"{count} images in one request; at most {most} are answered")


def _encode_png(image: np.ndarray, identity: Identity) -> bytes:
    texts = {f"vaeline.{name}": text for name, text in describe(identity).items() if text is not None}
    return encode_png(image, texts)


def _short(text: str) -> str:
    """One line of an error, without what it may repeat of the body."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"
