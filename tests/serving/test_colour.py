"""A service of a model of colour pictures: every path takes and gives them, and the page shows them as they are."""

import io
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from screenshots import find_browser, open_page
from service_page import show_page, wait_until_idle
from serving.conftest import Host, Shelf, png, read_png

from vaeline.images.limits import OWN
from vaeline.images.pictures import read_picture
from vaeline.images.spec import ImageSpec
from vaeline.likelihood.bounds import elbo_scores
from vaeline.models.build import build_model

SPEC = ImageSpec(height=24, width=16, channels=3, fit="crop", background="#204060")
CLOSE = {"atol": 1e-4, "rtol": 1e-4}
PIXEL = {"atol": 0.51 / 255}
ADDRESS = "http://service"


@pytest.fixture(scope="module")
def colour_model(params):
    """An untrained model of colour pictures that are higher than wide."""
    small = {"architecture": "conv", "latent_dim": 3, "likelihood": "discretized_logistic"}
    model = build_model(params.model.model_copy(update=small), SPEC, 1, 1)
    model.initialize(np.random.default_rng(0).integers(0, 256, (20, *SPEC.shape), dtype="uint8"), np.zeros(20, "int64"))
    return model


@pytest.fixture(scope="module")
def colour_host(colour_model):
    with Host(Shelf(colour_model)) as running:
        yield running


@pytest.fixture(scope="module")
def photograph():
    """A wide colour picture as JPEG."""
    levels = np.random.default_rng(1).integers(0, 256, (5, 9, 3), dtype="uint8")
    stream = io.BytesIO()
    Image.fromarray(levels).resize((180, 100), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def fitted(content: bytes) -> np.ndarray:
    return read_picture(io.BytesIO(content), SPEC, OWN.pixels)[None].astype("float32") / 255


def test_every_path_takes_and_gives_colour(colour_host, colour_model):
    images = np.random.default_rng(2).random((3, *SPEC.shape), dtype="float32")
    sent = {"images": images.tolist()}
    z_mean, z_log_var = (np.asarray(part) for part in colour_model.encode(images))
    encoded = colour_host.ask("POST", "/encode", json=sent).json()
    np.testing.assert_allclose(encoded["z_mean"], z_mean, **CLOSE)
    np.testing.assert_allclose(encoded["z_log_var"], z_log_var, **CLOSE)
    expected = np.asarray(colour_model.decode(z_mean))
    for path, body in (("/reconstruct", sent), ("/decode", {"latents": z_mean.tolist()})):
        np.testing.assert_allclose(colour_host.ask("POST", path, json=body).json()["images"], expected, **CLOSE)
        drawn = colour_host.ask("POST", f"{path}?images=png", json=body).json()["png"]
        np.testing.assert_allclose(np.stack([read_png(text) for text in drawn]), expected, **PIXEL)
    scores = elbo_scores(colour_model, images, np.arange(3), 1)
    for name, values in colour_host.ask("POST", "/score", json=sent).json().items():
        assert name == "model" or np.allclose(values, scores[name], rtol=1e-3)
    sheet = read_png(colour_host.ask("GET", "/sample?n=5&seed=2", headers={"accept": "image/png"}).content)
    assert sheet.shape == (2 * SPEC.height, 3 * SPEC.width, 3)
    np.testing.assert_allclose(sheet[: SPEC.height, : SPEC.width], colour_model.sample(5, 2)[0], **PIXEL)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP"])
def test_a_picture_of_any_size_is_fitted_as_the_spec_says(colour_host, colour_model, photograph, kind):
    stream = io.BytesIO()
    Image.open(io.BytesIO(photograph)).save(stream, kind, **({"lossless": True} if kind == "WebP" else {}))
    content, headers = stream.getvalue(), {"content-type": f"image/{kind.lower()}"}
    seen = colour_host.ask("POST", "/fit", content=content, headers=headers)
    assert (seen.status_code, seen.headers["content-type"]) == (200, "image/png")
    assert seen.headers["vaeline-model"] == "models:/vae-digits/1"
    np.testing.assert_allclose(read_png(seen.content), fitted(content)[0], **PIXEL)
    encoded = colour_host.ask("POST", "/encode", content=content, headers=headers).json()
    np.testing.assert_allclose(encoded["z_mean"], colour_model.encode(fitted(content))[0], **CLOSE)


@pytest.mark.parametrize(
    ("content", "kind", "status", "sentence"),
    [
        (b"GIF89a", "image/jpeg", 400, "the picture: not a JPEG picture"),
        (b"{}", "application/json", 415, "send image/png or image/jpeg or image/webp"),
        (png(np.zeros((4001, 4000), "uint8")), "image/png", 400, "the picture: too large"),
    ],
)
def test_what_is_no_picture_gets_a_sentence(colour_host, content, kind, status, sentence):
    response = colour_host.ask("POST", "/fit", content=content, headers={"content-type": kind})
    assert response.status_code == status
    assert sentence in response.json()["error"]


def test_it_says_how_pictures_are_fitted_and_that_they_are_no_ink(colour_host):
    about = colour_host.ask("GET", "/version").json()
    assert about["image"] == {"height": 24, "width": 16, "channels": 3, "fit": "crop", "background": "#204060"}
    assert about["ink"] is False


@pytest.fixture(scope="module")
def browser(processes):
    with open_page(find_browser()) as opened:
        yield opened


def open_host(browser, host):
    """The page of a service that no socket serves: each request of the browser is handed to it, in another thread.

    The thread of the test runs the event loop of the browser.
    """
    (page, problems), thread = browser, ThreadPoolExecutor(1)
    problems.clear()

    def answer(route, request):
        path = request.url.removeprefix(ADDRESS)
        asked = {"content": request.post_data_buffer, "headers": request.headers}
        found = thread.submit(host.ask, request.method, path, **asked).result()
        route.fulfill(status=found.status_code, headers=dict(found.headers), body=found.content)

    page.unroute_all()
    page.route(f"{ADDRESS}/**", answer)
    show_page(page, ADDRESS)
    return page


def colours(page, canvas):
    """The colours (height, width, 3) of a canvas."""
    script = """canvas => [canvas.height, canvas.width,
      ...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]"""
    height, width, *values = page.locator(canvas).evaluate(script)
    return np.array(values).reshape(height, width, 4)[..., :3] / 255


needs_browser = pytest.mark.skipif(find_browser() is None, reason="no Chromium: `make browser` installs one")


@needs_browser
def test_the_page_takes_a_photograph_and_shows_images_in_their_colours(browser, colour_host, colour_model, photograph):
    page = open_host(browser, colour_host)
    assert not page.locator("#pad").is_visible()
    assert page.locator("#empty").is_visible()
    page.set_input_files("#file", {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photograph})
    page.wait_for_function("() => document.getElementById('total').textContent.includes('nats')")
    wait_until_idle(page)
    np.testing.assert_allclose(colours(page, "#seen"), fitted(photograph)[0], **PIXEL)
    np.testing.assert_allclose(colours(page, "#rebuilt"), colour_model.reconstruct(fitted(photograph))[0], **PIXEL)
    assert colours(page, "#picture").shape == (100, 180, 3)
    strip = colours(page, "#samples")
    assert strip.std(axis=2).max() > 0
    assert math.isclose(strip.shape[1] / strip.shape[0], 16 * SPEC.width / SPEC.height)
    assert browser[1] == []
