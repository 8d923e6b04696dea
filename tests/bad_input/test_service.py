"""Requests whose body, headers or parameters are wrong: a status of the client's fault, and one sentence."""

import base64
import gzip
import io
import json

import numpy as np
import pytest
from bad_input.refusal import check_sentence
from PIL import Image

JSON, PNG = {"content-type": "application/json"}, {"content-type": "image/png"}
GREY = np.zeros((28, 28)).tolist()
ONE = ("the body must be a JSON object with images or png, and nothing else",)


def picture(size: tuple[int, int] = (28, 28), kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new("L", size).save(stream, kind)
    return stream.getvalue()


def encoded(*pictures: bytes) -> bytes:
    return json.dumps({"png": [base64.b64encode(content).decode() for content in pictures]}).encode()


def images(values: object) -> bytes:
    return json.dumps({"images": values}).encode()


BODIES = {
    "nothing": (b"", JSON, 400, ("not JSON",)),
    "half an object": (b'{"images": [', JSON, 400, ("not JSON",)),
    "null": (b"null", JSON, 422, ONE),
    "a list": (b"[]", JSON, 422, ONE),
    "another name": (b'{"image": []}', JSON, 422, ONE),
    "two names": (b'{"images": [], "png": []}', JSON, 422, ("the body",)),
    "a name twice": (b'{"images": [[0]], "images": [[1]]}', JSON, 422, ("has images twice",)),
    "a name twice, escaped": (b'{"images": [[0]], "im\\u0061ges": [[1]]}', JSON, 422, ("images must be",)),
    "no numbers": (images([["a"]]), JSON, 422, ("images must be numbers, in lists of equal lengths",)),
    "null among numbers": (images([[None]]), JSON, 422, ("images must be numbers",)),
    "true among numbers": (images([[True]]), JSON, 422, ("images must be numbers",)),
    "NaN": (b'{"images": [[NaN]]}', JSON, 400, ("not JSON",)),
    "infinity": (b'{"images": [[Infinity]]}', JSON, 400, ("not JSON",)),
    "a number beyond all": (images([[0] * 28] * 28).replace(b"[0,", b"[1e999,", 1), JSON, 400, ("Number too big",)),
    "lists of unequal lengths": (images([[0, 1], [0]]), JSON, 422, ("lists of equal lengths",)),
    "another size": (images([[0] * 27] * 28), JSON, 422, ("28",)),
    "no images": (images([]), JSON, 422, ("image",)),
    "too many images": (images([[[0]]] * 257), JSON, 413, ("257 images", "at most 256", "--most-images")),
    "deep lists": (b'{"images": ' + b"[" * 100 + b"1" + b"]" * 100 + b"}", JSON, 413, ("more than 4 lists in lists",)),
    "deep objects": (b'{"images": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001, JSON, 400, ("not JSON",)),
    "too many numbers": (b'{"images": [' + b"0," * 1_000_001 + b"0]}", JSON, 413, ("1,000,000", "--most-elements")),
    "too many bytes": (b" " * 4_000_001, JSON, 413, ("larger than 4,000,000 bytes", "--most-bytes")),
    "bytes that are no text": (b"\xff\xfe{}", JSON, 400, ("not JSON",)),
    "text as base64": (b'{"png": "%%%"}', JSON, 400, ("png[0] is not base64",)),
    "a number as base64": (b'{"png": 5}', JSON, 422, ("png must be a picture as base64 text, or a list of them",)),
    "base64 of text": (encoded(b"text"), JSON, 400, ("the picture: not a PNG picture",)),
    "a cut picture": (encoded(picture(), picture()[:50]), JSON, 400, ("png[1]: a broken picture",)),
    "a picture too large": (picture((5000, 5000)), PNG, 400, ("too large", "16,000,000", "--most-pixels")),
    "a JPEG as PNG": (picture(kind="JPEG"), PNG, 400, ("the picture: not a PNG picture",)),
    "no type": (images([GREY]), {}, 415, ("send application/json", "Content-Type")),
    "another type": (images([GREY]), {"content-type": "text/csv"}, 415, ("Content-Type",)),
    "a packed body": (gzip.compress(images([GREY])), JSON | {"content-encoding": "gzip"}, 400, ("not JSON",)),
}
PARAMETERS = {
    "n=0": ("n",),
    "n=-1": ("n",),
    "n=x": ("n", "integer"),
    "n=257": ("256",),
    "n=" + "9" * 30: ("n",),
    "temperature=nan": ("temperature",),
    "temperature=-1": ("temperature",),
    "temperature=11": ("temperature",),
    "seed=-1": ("seed",),
    "seed=1.5": ("seed",),
    "seed=99999999999": ("seed",),
    "label=3": ("label", "classes"),
}


@pytest.mark.parametrize(("body", "headers", "status", "words"), BODIES.values(), ids=BODIES)
def test_a_wrong_body_is_refused(host, body, headers, status, words):
    response = host.ask("POST", "/score", content=body, headers=headers)
    assert response.status_code == status, response.text
    check_sentence(response.json()["error"], words)


@pytest.mark.parametrize(("query", "words"), PARAMETERS.items(), ids=PARAMETERS)
def test_a_wrong_parameter_is_refused(host, query, words):
    response = host.ask("GET", f"/sample?{query}")
    assert response.status_code in (413, 422), response.text
    check_sentence(response.json()["error"], words)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nope", 404), ("GET", "/score", 405), ("DELETE", "/sample", 405), ("POST", "/version", 405)],
)
def test_a_wrong_path_or_method_is_refused(host, method, path, status):
    response = host.ask(method, path)
    assert response.status_code == status
    check_sentence(response.json()["error"], ())


def test_a_wrong_accept_header_is_refused(host):
    response = host.ask("GET", "/sample", headers={"accept": "video/mp4"})
    assert response.status_code == 406
    check_sentence(response.json()["error"], ("the Accept header does not accept it",))
