"""Read the bodies of requests and write those of answers: arrays in JSON, a PNG, or PNGs as base64 in JSON."""

import base64
import binascii
import io
import math
import re
from collections.abc import Sequence

import numpy as np
import pydantic_core
from jaxtyping import Float32, UInt8
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from vaeline.defects.heat_map import brightest
from vaeline.images.arrays import tile, to_uint8, to_unit
from vaeline.images.errors import UnreadableImagesError
from vaeline.images.limits import Limit
from vaeline.images.pictures import read_picture
from vaeline.images.png import encode_png
from vaeline.images.spec import ImageSpec
from vaeline.images.types import Images
from vaeline.pyfunc.answers import Answer, as_lists
from vaeline.serving.heat_maps import MAPS, THRESHOLD
from vaeline.serving.json_numbers import NotNumbersError, TooLargeError, read_numbers
from vaeline.serving.refusal import RefusalError
from vaeline.serving.resolved import Identity
from vaeline.serving.settings import Settings

JSON, PNG = "application/json", "image/png"
PICTURES = {PNG: "PNG", "image/jpeg": "JPEG", "image/webp": "WebP"}
"""The media types of pictures that a request may have, and their formats."""
SHOWN = 120
OPENING = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"([a-z]*)"[ \t\r\n]*:')
NAMES = re.compile(rb'"(images|latents|png)"[ \t\r\n]*:')
MOST_EXAMINED = 131_072
"""The bytes of a refused body that are parsed only for a better sentence."""


def read_images(body: bytes, kind: str, image: ImageSpec, settings: Settings) -> Float32[np.ndarray, "count ..."]:
    """The images (count, height, width, channels) of a body of JSON or of one picture.

    Pictures of another size are fitted into the size `image`. Arrays of grey images may leave out the channel axis.
    Arrays of a wrong shape are returned as they are, and the model refuses them.

    Raises:
        RefusalError: the body cannot be read, has too many images, or has values that are not numbers.
    """
    if kind in PICTURES:
        return _read_pictures([body], image, settings, PICTURES[kind])
    name, text = _read_member(body, kind, (JSON, *PICTURES), ("images", "png"))
    if name == "images":
        images = _as_stack(_read_array(body, name, text, settings), image)
        _check_count(len(images), settings.most_images)
        return images
    texts = _read_texts(body, text, settings.most_images)
    _check_count(len(texts), settings.most_images)
    return _read_pictures([_from_base64(text, row) for row, text in enumerate(texts)], image, settings)


def read_one_picture(body: bytes, kind: str, image: ImageSpec, settings: Settings) -> Images:
    """The image (1, height, width, channels) of a body that is one picture. Raises RefusalError."""
    if kind not in PICTURES:
        raise RefusalError(415, f"send {' or '.join(PICTURES)}, and name it in the Content-Type header")
    return _read_pictures([body], image, settings, PICTURES[kind])


def read_latents(body: bytes, kind: str, image: ImageSpec, settings: Settings) -> Float32[np.ndarray, "count ..."]:
    """The latents (count, latent_dim) of a body of JSON. `image` is not used.

    Arrays of a wrong shape are returned as they are, and the model refuses them.

    Raises:
        RefusalError: the body cannot be read, has too many latents, or has values that are not numbers.
    """
    name, text = _read_member(body, kind, (JSON,), ("latents",))
    numbers = _read_array(body, name, text, settings)
    latents = numbers[None] if numbers.ndim == 1 else numbers
    _check_count(len(latents), settings.most_images)
    return latents


def write_json(identity: Identity, found: Answer, pictures: bool) -> bytes:
    """An answer as JSON, with the identity of the model.

    With `pictures`, images are PNGs in base64, as `png`, and so are heat maps, as `heat_map_png`.
    """
    drawn: dict[str, list[str]] = {}
    if pictures and "images" in found:
        drawn["png"] = _encode_all(found["images"], identity)
    if pictures and MAPS in found:
        white = brightest(float(found[THRESHOLD][0]))
        drawn["heat_map_png"] = _encode_all(np.clip(found[MAPS] / white, 0, 1)[..., None], identity)
    numbers = {name: values for name, values in found.items() if not (drawn and name in ("images", MAPS))}
    return pydantic_core.to_json({"model": describe(identity), **drawn, **as_lists(_without_grey_axis(numbers))})


def write_sheet(identity: Identity, images: Images) -> bytes:
    """Images in [0, 1] as one PNG with ceil(√count) images a row. Places without an image are black.

    The text chunks of the PNG name the model.
    """
    count, *shape = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    sheet = np.zeros((rows * columns, *shape), "uint8")
    sheet[:count] = to_uint8(images)
    return _encode_png(tile(sheet.reshape(rows, columns, *shape)), identity)


def describe(identity: Identity) -> dict[str, str | None]:
    """The identity of a model, as answers show it."""
    return {
        "uri": identity.uri,
        "name": identity.name,
        "version": identity.version,
        "digest": identity.digest,
    }


def choose_kind(accept: str, offered: Sequence[str]) -> str:
    """The media type among `offered` that an Accept header prefers; the first one if it prefers none.

    Raises:
        RefusalError: the header accepts none of them (406).
    """
    accepted = parse_accept_header(accept.strip() or "*/*", MIMEAccept)
    best = max(offered, key=accepted.quality)
    if not accepted.quality(best):
        raise RefusalError(406, f"this path answers {' or '.join(offered)}, and the Accept header does not accept it")
    return best


def _read_member(body: bytes, kind: str, kinds: Sequence[str], names: Sequence[str]) -> tuple[str, bytes]:
    """The name and the value of the only member of a JSON object, as text. The name is one of `names`."""
    if kind != JSON:
        raise RefusalError(415, f"send {' or '.join(kinds)}, and name it in the Content-Type header")
    found, end = OPENING.match(body), len(body.rstrip(b" \t\r\n")) - 1
    name = found[1].decode() if found else ""
    if not found or name not in names or body[end : end + 1] != b"}":
        raise _examine(body, names)
    return name, body[found.end() : end]


def _examine(body: bytes, names: Sequence[str], otherwise: str = "") -> RefusalError:
    """Why a body is not a JSON object with exactly one of `names`; `otherwise` is the sentence if it is one."""
    named = NAMES.findall(body) if body.count(b'"') < MOST_EXAMINED else []
    if len(set(named)) < len(named):
        return RefusalError(422, f"the body has {named[0].decode()} twice; a name must be given once")
    expected = f"the body must be a JSON object with {' or '.join(names)}, and nothing else"
    if len(body) > MOST_EXAMINED:
        return RefusalError(422, otherwise or expected)
    try:
        content = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        return RefusalError(400, f"the body is not JSON: {short(str(error))}")
    only = isinstance(content, dict) and len(content) == 1 and content.keys() <= set(names)
    return RefusalError(422, otherwise if otherwise and only else expected)


def _read_array(body: bytes, name: str, text: bytes, settings: Settings) -> Float32[np.ndarray, "..."]:
    """The numbers of a member of a body."""
    try:
        return read_numbers(text, settings.most_elements)
    except TooLargeError as error:
        raise RefusalError(413, f"{name} has {error}") from None
    except NotNumbersError as error:
        raise _examine(body, (name,), f"{name} must be {error}") from None
    except ValueError as error:
        raise RefusalError(400, f"the body is not JSON: {short(str(error))}") from None


def _read_texts(body: bytes, text: bytes, most: int) -> list[str]:
    """The texts of the member `png`. Base64 has no quotes, brackets or colons: their number bounds what is parsed."""
    sentence = "png must be a picture as base64 text, or a list of them"
    _check_count(text.count(b'"') // 2, most)
    if text.count(b"[") > 1 or text.count(b",") >= most or b"{" in text or b":" in text:
        raise _examine(body, ("png",), sentence)
    try:
        given = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise RefusalError(400, f"the body is not JSON: {short(str(error))}") from None
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise RefusalError(422, sentence)
    return texts


def _as_stack(numbers: Float32[np.ndarray, "..."], image: ImageSpec) -> Float32[np.ndarray, "count ..."]:
    """One image or several as (count, height, width, channels). An array of another shape is not changed."""
    plane = image.shape[:2]
    if image.channels == 1 and (numbers.shape == plane or numbers.shape[1:] == plane):
        numbers = numbers[..., None]
    return numbers[None] if numbers.shape == image.shape else numbers


def _without_grey_axis(found: Answer) -> Answer:
    """An answer for JSON: grey images are (count, height, width)."""
    return {
        name: values[..., 0] if name == "images" and values.shape[-1] == 1 else values for name, values in found.items()
    }


def _read_pictures(bodies: Sequence[bytes], image: ImageSpec, settings: Settings, form: str = "PNG") -> Images:
    """The images of pictures of one format. Each may have an equal share of `most_pixels`."""
    if not bodies:
        raise RefusalError(422, "png must hold at least one picture")
    images, most = [], Limit(settings.most_pixels // len(bodies), "--most-pixels")
    for row, body in enumerate(bodies):
        try:
            images.append(read_picture(io.BytesIO(body), image, most, formats=(form,)))
        except UnreadableImagesError as error:
            name = f"png[{row}]" if len(bodies) > 1 else "the picture"
            raise RefusalError(400, f"{name}: {short(error.reason)}") from None
    return to_unit(np.stack(images))


def _from_base64(text: str, row: int) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RefusalError(400, f"png[{row}] is not base64") from None


def _check_count(count: int, most: int) -> None:
    if count > most:
        raise RefusalError(413, f"{count} images in one request; at most {most} are allowed (--most-images)")


def _encode_all(images: Float32[np.ndarray, "count height width channels"], identity: Identity) -> list[str]:
    """Images in [0, 1] as PNGs in base64."""
    return [base64.b64encode(_encode_png(image, identity)).decode() for image in to_uint8(images)]


def _encode_png(image: UInt8[np.ndarray, "height width channels"], identity: Identity) -> bytes:
    texts = {f"vaeline.{name}": text for name, text in describe(identity).items() if text is not None}
    return encode_png(image, texts)


def short(text: str) -> str:
    """An error message as one short line. It may quote the body, so the rest is cut off."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"
