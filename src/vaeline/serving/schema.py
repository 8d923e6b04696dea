"""The description of requests and answers for OpenAPI. Requests do not run this code."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from pydantic import BaseModel, Field

from vaeline.data.sources import MNIST_IMAGE
from vaeline.serving.payloads import JSON, PICTURES, PNG

DESCRIPTION = """\
A variational autoencoder, the one that an alias of the registry names now. Every answer comes from one model and names
it: in the headers `Vaeline-Model` and `Vaeline-Digest`, and in the body (`model`, or the text chunks of a PNG).

Images are sent as numbers from 0 to 1 in JSON, as one picture (PNG, JPEG or WebP), or as PNGs in base64 in JSON.
Pictures of another size are fitted into the size of the model's images; `/fit` shows how. They become grey if the
model's images are grey. `image` of `/version` gives height, width and channels. With `Accept: image/png`, an answer is
one picture: its images are in a square, row by row.
"""
DIGEST = "9f2b6c0d4e1a87530b6c1df0e2a94c57d8b3f6a1c0e5d4972b8a6f13c5e7d901"
NAMED = {"uri": "models:/vae-mnist/3", "name": "vae-mnist", "version": "3", "digest": DIGEST}
REFUSALS = {
    400: (
        "The body cannot be read, or the host name is foreign.",
        "the body is not JSON: EOF while parsing a value at line 1 column 0",
    ),
    406: ("The Accept header does not accept the answer.", "this path answers application/json, and the Accept …"),
    408: ("The body did not arrive in time.", "the body did not arrive within 10 seconds"),
    413: ("Too many bytes, images or numbers.", "300 images in one request; at most 256 are allowed"),
    415: ("The body has another media type.", "send application/json or image/png or image/jpeg …"),
    422: ("The request does not fit the model.", "images must have shape (n, 28, 28, 1), got (1, 28, 27)"),
    429: ("Too many requests from this client.", "too many requests: 100 a second are allowed, after a burst of 200"),
    500: ("The model failed.", "the model failed on this request; the server's log says why"),
    503: (
        "There is no model yet, too much is waiting, or the answer would come too late.",
        "256 requests are waiting already; try again later",
    ),
    504: ("There was no answer in time.", "there was no answer within 10 seconds"),
}
BINARY = {"type": "string", "format": "binary"}
WITH_BODY = {408, 413, 415}


class Model(BaseModel):
    """The model that gave the answer."""

    uri: str = Field(description="models:/name/version, runs:/id, or a file.")
    name: str | None
    version: str | None
    digest: str = Field(description="SHA-256 of the model's archive.")


class Failure(BaseModel):
    """The reason why there is no answer."""

    error: str = Field(description="One sentence.")
    status: int
    model: Model | None = Field(None, description="The model, if a model refused.")


class Images(BaseModel):
    """Images with values from 0 to 1; with `images=png`, PNGs in base64 under `png` instead.

    Grey images are (n, height, width), colour images (n, height, width, 3).
    """

    model: Model
    images: list[list[list[float]]] | list[list[list[list[float]]]] | None = None
    png: list[str] | None = None


class Latents(BaseModel):
    """q(z|x) = N(z_mean, exp(z_log_var)): z_mean is (n, latent_dim), z_log_var is (n, noise_dim).

    Only the first noise_dim latents are random.
    """

    model: Model
    z_mean: list[list[float]]
    z_log_var: list[list[float]]


class Scores(BaseModel):
    """Nats per image, and mse: the mean squared error per pixel. Lower is better. neg_elbo = reconstruction + kl.

    A model without a bound has no neg_elbo and no kl. With `map`, there are heat maps (n, height, width) in standard
    deviations above good validation images, the score of each (the mean of its highest 1 %), and the threshold of these
    scores; with `map=png`, the maps are PNGs in base64, whose white is twice the threshold.
    A model of tiles cuts a picture into tiles. Each score is then the highest of the tiles, and the map is that of the
    whole picture.
    """

    model: Model
    neg_elbo: list[float] | None = None
    reconstruction: list[float]
    kl: list[float] | None = None
    mse: list[float]
    heat_map: list[list[list[float]]] | None = None
    heat_map_png: list[str] | None = None
    heat_map_score: list[float] | None = None
    heat_map_threshold: list[float] | None = None


class State(BaseModel):
    """Whether a model answers, and whether it is the model that the reference names."""

    ready: bool
    model: Model | None
    following: str
    up_to_date: bool
    trouble: str | None = Field(description="Why it is not the model that the reference names, one sentence.")
    refused: Model | None = Field(description="The model that could not be loaded or failed a check.")


def describe_images(schema: type[BaseModel], example: dict[str, Any], body: bool = True) -> dict[str, Any]:
    """The `responses` of a path that answers with images. `body` says whether its requests have a body."""
    return {"responses": _responses(schema, example, body, picture=True)}


def describe_picture() -> dict[str, Any]:
    """The `responses` of a path that takes a picture and answers with one."""
    responses = _responses(Model, {}, body=True, picture=True)
    answer = {name: part for name, part in responses[200].items() if name != "model"}
    return {"responses": responses | {200: answer | {"content": {PNG: {"schema": BINARY}}}}}


def describe_numbers(schema: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """The `responses` of a path that takes images and answers with numbers."""
    return {"responses": _responses(schema, example, body=True, picture=False)}


def image_body() -> dict[str, Any]:
    """The `openapi_extra` of a path that takes images."""
    picture = example_picture()
    pixel = {"oneOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}}]}
    image = {"type": "array", "items": {"type": "array", "items": pixel}}
    encoded = {"type": "string", "format": "byte"}
    one_of = [
        {
            "type": "object",
            "required": ["images"],
            "properties": {
                "images": {
                    "description": "Numbers from 0 to 1: (n, height, width, channels), or one image without n. Grey "
                    "images may leave out the channels.",
                    "anyOf": [{"type": "array", "items": image}, image],
                }
            },
        },
        {
            "type": "object",
            "required": ["png"],
            "properties": {
                "png": {
                    "description": "PNGs in base64, one or several.",
                    "oneOf": [{"type": "array", "items": encoded}, encoded],
                }
            },
        },
    ]
    examples = {
        "png": {"summary": "two pictures", "value": {"png": [picture, picture]}},
        "images": {"summary": "one grey image", "value": {"images": np.zeros((1, *MNIST_IMAGE.shape[:2])).tolist()}},
    }
    content = {JSON: {"schema": {"oneOf": one_of}, "examples": examples}, **_pictures()}
    return {"requestBody": {"required": True, "content": content}}


def picture_body() -> dict[str, Any]:
    """The `openapi_extra` of a path that takes one picture."""
    return {"requestBody": {"required": True, "content": _pictures()}}


def latent_body() -> dict[str, Any]:
    """The `openapi_extra` of a path that takes latents."""
    row = {"type": "array", "items": {"type": "number"}}
    latents = {
        "description": "(n, latent_dim), or (latent_dim,) for one image. In a conditional model, the last entries are "
        "the class, one-hot.",
        "oneOf": [{"type": "array", "items": row}, row],
    }
    schema = {"type": "object", "required": ["latents"], "properties": {"latents": latents}}
    example = {"summary": "two images of a model with two latents", "value": {"latents": [[0.0, 0.0], [1.5, -0.5]]}}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema, "examples": {"latents": example}}}}}


def example_picture() -> str:
    """A drawing of a seven, in the size of MNIST's images, as a PNG in base64."""
    picture = Image.new("L", (MNIST_IMAGE.width, MNIST_IMAGE.height))
    ImageDraw.Draw(picture).line([(7, 7), (20, 7), (12, 22)], fill=255, width=2)
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


def _pictures() -> dict[str, Any]:
    return {kind: {"schema": BINARY} for kind in PICTURES}


def _responses(schema: type[BaseModel], example: dict[str, Any], body: bool, picture: bool) -> dict[int, Any]:
    headers = {
        name: {"description": text, "schema": {"type": "string"}}
        for name, text in (("Vaeline-Model", "The model's URI."), ("Vaeline-Digest", "The SHA-256 of its archive."))
    }
    content: dict[str, Any] = {JSON: {"example": {"model": NAMED, **example}}}
    if picture:
        content[PNG] = {"schema": BINARY}
    answer = {"description": "The model's answer.", "model": schema, "headers": headers, "content": content}
    refusals = {
        status: {
            "description": text,
            "model": Failure,
            "content": {JSON: {"example": {"error": sentence, "status": status}}},
        }
        for status, (text, sentence) in REFUSALS.items()
        if body or status not in WITH_BODY
    }
    return {200: answer, **refusals}
