"""Requests that nobody means: whatever is sent, there is an answer with one sentence, and the next is served."""

import base64
import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from serving.conftest import png

PATHS = ("/reconstruct", "/encode", "/decode", "/score")
KINDS = ("application/json", "image/png", "text/plain", "", "application/json; charset=utf-7", "image/png;" * 500)
REFUSED = {400, 404, 405, 406, 408, 413, 415, 422}
ATOMS = (0, -1, 1e308, -1e308, 10**400, 0.5, None, True, "", "0.5", "\x00", "é" * 300, {}, [], {"images": []}, [[]])


def nested(rng, depth):
    """Any JSON value."""
    if depth == 0 or rng.random() < 0.3:
        return ATOMS[rng.integers(len(ATOMS))]
    children = [nested(rng, depth - 1) for _ in range(rng.integers(4))]
    names = ("images", "png", "latents", "label", "n")
    return children if rng.random() < 0.7 else {names[rng.integers(5)]: child for child in children}


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def odd_pictures(rng):
    """PNGs that lie, burst or end early."""
    good = png(rng.random((28, 28)))
    signature = good[:8]

    def made(width, height, depth=8, color=0, pixels=b""):
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
        return signature + head + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")

    yield made(0, 0)
    yield made(28, 28)
    yield made(2**31 - 1, 2**31 - 1)
    yield made(60_000, 60_000, 1)
    yield made(4000, 4000, 8, 0, b"\0" * 10_000)
    yield made(16_000_000, 1, 8, 0, b"\0" * 100)
    yield made(28, 28, 16, 6, b"\xff" * 10_000)
    yield made(28, 28, 3, 9, b"\xff" * 10_000)
    yield made(28, 28, 8, 3, b"\0" * 900)
    yield signature + chunk(b"IHDR", b"")
    yield signature + chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 5_000_000)) + good[8:]
    yield signature + chunk(b"iCCP", b"") + good[8:]
    yield signature + chunk(b"iCCP", b"a\0\0" + zlib.compress(b"\0" * 5_000_000)) + good[8:]
    yield good[:33] + chunk(b"eXIf", bytes(rng.integers(0, 256, 200, dtype="uint8"))) + good[33:]
    yield good[:33] + chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0") + good[33:]
    yield good + good[8:]
    for end in (0, 7, 8, 20, 33, 60, 200):
        yield good[:end]
    for _ in range(40):
        broken = bytearray(good)
        for place in rng.integers(0, len(good), 3):
            broken[place] = rng.integers(256)
        yield bytes(broken)


def odd_bodies(rng):
    """Bodies with no sense in them, and some with a little."""
    yield from (b"", b"\0", b"null", b"{", b'{"images"', b"\xef\xbb\xbf{}", b"[" * 10**6, b'{"a":' * 10**5)
    yield from (b"1e999", b"-0", b"1" * 10**6, b'"\\ud800"', b'{"images": 1e999}', b'{"images": [[1e999]]}')
    yield b'{"latents": [[' + b"0," * 10**5 + b"0]]}"
    yield b'{"images": ' + b"[" * 100 + b"1" + b"]" * 100 + b"}"
    yield json.dumps({"png": "A" * 10**6}).encode()
    yield json.dumps({"images": ["x" * 10**6, *["y"] * 10**5]}).encode()
    yield json.dumps({"png": [base64.b64encode(png(np.zeros((300, 300)))).decode()] * 257}).encode()
    for _ in range(300):
        content = nested(rng, 5)
        named = {("images", "png", "latents")[rng.integers(3)]: content} if rng.random() < 0.7 else content
        yield json.dumps(named).encode()
    for _ in range(100):
        yield rng.bytes(rng.integers(1, 2000))
    for picture in odd_pictures(rng):
        yield picture
        yield json.dumps({"png": base64.b64encode(picture).decode()}).encode()


@pytest.mark.parametrize("path", PATHS)
def test_no_body_gets_more_than_a_sentence(host, path):
    rng = np.random.default_rng(PATHS.index(path))
    bodies = list(odd_bodies(rng))

    async def scenario(client):
        for body in bodies:
            kind = KINDS[0] if body[:1] in b'{["n' else KINDS[1] if body[:1] == b"\x89" else KINDS[rng.integers(6)]
            yield body, await client.post(path, content=body, headers={"content-type": kind} if kind else {})

    async def collect(client):
        return [pair async for pair in scenario(client)]

    for body, response in host.run(collect):
        if response.status_code == 200:
            np.testing.assert_array_equal(
                np.isfinite(next(v for k, v in response.json().items() if k != "model")), True
            )
            continue
        assert response.status_code in REFUSED, (body[:200], response.text)
        sentence = response.json()["error"]
        assert len(sentence) < 250, sentence
        assert "\n" not in sentence
        assert "Traceback" not in sentence
    assert host.ask("GET", "/sample").status_code == 200


ODD_NUMBERS = (
    "",
    "-1",
    "0",
    "1e3",
    "0x10",
    "٣",
    "1_0",
    "nan",
    "9" * 4000,
    "9" * 20,
    "1;2",
    "%00",
    "null",
    "true",
    "1.0",
)


@pytest.mark.parametrize("name", ["n", "seed", "temperature", "label", "images"])
def test_no_parameter_gets_more_than_a_sentence(host, name):
    for value in ODD_NUMBERS:
        response = host.ask("GET", "/sample", params={name: value})
        assert response.status_code in {200, 422}, (value, response.text)
        assert response.status_code == 200 or len(response.json()["error"]) < 250
    response = host.ask("GET", "/sample?" + "&".join(f"{name}={number}" for number in range(500)))
    assert response.status_code in {200, 422}


def test_headers_of_any_kind_are_survived(host):
    for accept in ("q" * 10_000, "," * 10_000, "image/png;q=" + "9" * 5000, "*/*;q=-1", "a/b;c;d=;q", "\xff", ";;;"):
        response = host.ask("GET", "/sample", headers={"accept": accept.encode("latin-1")})
        assert response.status_code in {200, 406}
    for length in ("-5", "abc", "9" * 100, "1e3"):
        response = host.ask("POST", "/encode", content=b"{}", headers={"content-length": length})
        assert response.status_code in REFUSED


def test_a_picture_that_is_no_grey_is_read_all_the_same(host):
    rng = np.random.default_rng(0)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        values = rng.integers(0, 256, (40, 31, 4), dtype="uint8")
        deep = Image.fromarray(rng.integers(0, 65536, (40, 31)).astype("uint16"))
        picture = deep if mode == "I;16" else Image.fromarray(values, "RGBA").convert(mode)
        stream = io.BytesIO()
        picture.save(stream, "PNG")
        response = host.ask("POST", "/score", content=stream.getvalue(), headers={"content-type": "image/png"})
        assert response.status_code == 200, (mode, response.text)
