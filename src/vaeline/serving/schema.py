"""What OpenAPI says of requests and answers; nothing here is run by a request."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from pydantic import BaseModel, Field

from vaeline.data.sources import MNIST_IMAGE
from vaeline.serving.payloads import JSON, PNG

DESCRIPTION = """\
A variational autoencoder that follows an alias of the registry. Every answer names the model that made it, in the
headers `Vaeline-Model` and `Vaeline-Digest` and in the body (`model`, or the text chunks of a PNG), and is the work of
that one alone.

Images are sent as numbers 0 to 1 in JSON, as one PNG, or as PNGs in base64 in JSON. Pictures of other sizes are fitted
into the model's, and become grey if the model's images are; `image` of `/version` gives height, width and channels.
`Accept: image/png` gets images as one picture: a square of them, row by row.
"""
DIGEST = "9f2b6c0d4e1a87530b6c1df0e2a94c57d8b3f6a1c0e5d4972b8a6f13c5e7d901"
NAMED = {"uri": "models:/vae-mnist/3", "name": "vae-mnist", "version": "3", "digest": DIGEST}
REFUSALS = {
    400: ("The body cannot be read.", "the body is no JSON: EOF while parsing a value at line 1 column 0"),
    406: ("The Accept header takes nothing that this answers.", "this answers application/json, which the Accept …"),
    408: ("The body did not arrive in time.", "the body did not arrive within 10 seconds"),
    413: ("Too many bytes, or too many images.", "300 images in one request; at most 256 are answered"),
    415: ("The body's media type is not read here.", "send application/json or image/png, and name it in the …"),
    422: ("What was sent does not fit the model.", "images must have shape (n, 28, 28, 1), got (1, 28, 27)"),
    429: ("Too many requests from this client.", "too many requests: 100 a second are answered, after the first 200"),
    500: ("The model failed.", "the model failed at this request; the server's log says how"),
    503: ("There is no model yet, or the queue is full.", "256 requests are waiting already; come back later"),
    504: ("There was no answer in time.", "there was no answer within 10 seconds"),
}
WITHOUT_BODY = {400, 408, 413, 415}


class Model(BaseModel):
    """The model that an answer is from."""

    uri: str = Field(description="models:/name/version, runs:/id, or a file.")
    name: str | None
    version: str | None
    digest: str = Field(description="SHA-256 of the model's archive.")


class Failure(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="One sentence.")
    status: int
    model: Model | None = Field(None, description="The model that refused, if it was a model.")


class Images(BaseModel):
    """Images from 0 to 1, or with `images=png` as PNGs in base64 under `png`.

    Grey images are (n, height, width), colour ones (n, height, width, 3).
    """

    model: Model
    images: list[list[list[float]]] | list[list[list[list[float]]]] | None = None
    png: list[str] | None = None


class Latents(BaseModel):
    """q(z|x) = N(z_mean, exp(z_log_var)): means (n, latent_dim), and what is random of them (n, noise_dim)."""

    model: Model
    z_mean: list[list[float]]
    z_log_var: list[list[float]]


class Scores(BaseModel):
    """Nats of each image, and the squared error of a pixel; lower is better. neg_elbo = reconstruction + kl.

    A model that bounds nothing has no neg_elbo and no kl.
    """

    model: Model
    neg_elbo: list[float] | None = None
    reconstruction: list[float]
    kl: list[float] | None = None
    mse: list[float]


class State(BaseModel):
    """Whether there is a model that answers, and whether it is the one that is meant."""

    ready: bool
    model: Model | None
    following: str
    up_to_date: bool
    trouble: str | None = Field(description="Why it is not the one that is meant, one sentence.")
    refused: Model | None = Field(description="The model that failed to load or a check.")


def describe_images(schema: type[BaseModel], example: dict[str, Any], body: bool = True) -> dict[str, Any]:
    """What a path says of itself that answers images: `responses`, and with a body the request's."""
    return {"responses": _responses(schema, example, body, picture=True)}


def describe_numbers(schema: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """Likewise of a path that takes images and answers numbers."""
    return {"responses": _responses(schema, example, body=True, picture=False)}


def image_body() -> dict[str, Any]:
    """`openapi_extra` of a path that takes images."""
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
                    "description": "Numbers 0 to 1: (n, height, width, channels), or one image without n. Grey images "
                    "may leave out the channels.",
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
        "images": {"summary": "greys", "value": {"images": np.zeros((1, *MNIST_IMAGE.shape[:2])).tolist()}},
    }
    content = {
        JSON: {"schema": {"oneOf": one_of}, "examples": examples},
        PNG: {"schema": {"type": "string", "format": "binary"}},
    }
    return {"requestBody": {"required": True, "content": content}}


def latent_body() -> dict[str, Any]:
    """`openapi_extra` of a path that takes latents."""
    row = {"type": "array", "items": {"type": "number"}}
    latents = {
        "description": "(n, latent_dim), or one (latent_dim,); of a conditional model the last say the class, one-hot.",
        "oneOf": [{"type": "array", "items": row}, row],
    }
    schema = {"type": "object", "required": ["latents"], "properties": {"latents": latents}}
    example = {"summary": "two of a model with two latents", "value": {"latents": [[0.0, 0.0], [1.5, -0.5]]}}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema, "examples": {"latents": example}}}}}


def example_picture() -> str:
    """A drawn seven, of the size of MNIST's images, as a PNG in base64."""
    picture = Image.new("L", (MNIST_IMAGE.width, MNIST_IMAGE.height))
    ImageDraw.Draw(picture).line([(7, 7), (20, 7), (12, 22)], fill=255, width=2)
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


def _responses(schema: type[BaseModel], example: dict[str, Any], body: bool, picture: bool) -> dict[int, Any]:
    headers = {
        name: {"description": text, "schema": {"type": "string"}}
        for name, text in (("Vaeline-Model", "The model's URI."), ("Vaeline-Digest", "The SHA-256 of its archive."))
    }
    content: dict[str, Any] = {JSON: {"example": {"model": NAMED, **example}}}
    if picture:
        content[PNG] = {"schema": {"type": "string", "format": "binary"}}
    answer = {"description": "The model's answer.", "model": schema, "headers": headers, "content": content}
    refusals = {
        status: {
            "description": text,
            "model": Failure,
            "content": {JSON: {"example": {"error": sentence, "status": status}}},
        }
        for status, (text, sentence) in REFUSALS.items()
        if body or status not in WITHOUT_BODY
    }
    return {200: answer, **refusals}
