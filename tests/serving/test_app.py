import base64
import re
import tomllib

import numpy as np
import pytest
from conftest import ROOT
from serving.conftest import Host, Shelf, identity, png, read_png

from vaeline.data.sources import MNIST_IMAGE
from vaeline.likelihood.bounds import elbo_scores
from vaeline.models.vae import VAE
from vaeline.serving.app import MODEL_PATHS, PAGE
from vaeline.serving.service import Service

CLOSE = {"atol": 2e-5, "rtol": 1e-5}
PIXEL = {"atol": 0.51 / 255}
JSON = {"content-type": "application/json"}
PNG = {"content-type": "image/png"}
NAMED = {"uri": "models:/vae-digits/1", "name": "vae-digits", "version": "1", "digest": f"{1:064x}"}


def check_named(response, version=1):
    about = identity(version)
    assert response.headers["vaeline-model"] == about.uri
    assert response.headers["vaeline-digest"] == about.digest
    if response.headers["content-type"] == "application/json":
        assert response.json()["model"]["uri"] == about.uri
        assert response.json()["model"]["digest"] == about.digest


def test_arrays_go_in_and_out(host, small_model, greys):
    async def scenario(client):
        return [
            await client.post(path, json={"images": greys[:3].tolist()})
            for path in ("/reconstruct", "/encode", "/score?seed=4")
        ]

    seen, encoded, scored = host.run(scenario)
    for response in (seen, encoded, scored):
        assert response.status_code == 200, response.text
        check_named(response)
        assert response.json()["model"] == NAMED
    np.testing.assert_allclose(seen.json()["images"], small_model.reconstruct(greys[:3])[..., 0], **CLOSE)
    z_mean, z_log_var = small_model.encode(greys[:3])
    np.testing.assert_allclose(encoded.json()["z_mean"], z_mean, **CLOSE)
    np.testing.assert_allclose(encoded.json()["z_log_var"], z_log_var, **CLOSE)
    for name, values in elbo_scores(small_model, greys[:3], np.arange(3), 4).items():
        np.testing.assert_allclose(scored.json()[name], values, **CLOSE)


def test_one_image_needs_no_list_around_it(host, small_model, greys):
    response = host.ask("POST", "/encode", json={"images": greys[0].tolist()})
    np.testing.assert_allclose(response.json()["z_mean"], small_model.encode(greys[:1])[0], **CLOSE)
    response = host.ask("POST", "/decode", json={"latents": [0.5, -1]})
    expected = small_model.decode(np.array([[0.5, -1]], "float32"))[..., 0]
    np.testing.assert_allclose(response.json()["images"], expected, **CLOSE)


@pytest.mark.parametrize("axes", [(), (0,), (-1,), (0, -1)])
def test_the_axes_of_count_and_of_grey_may_be_left_out(host, small_model, greys, axes):
    sent = np.squeeze(greys[:1], axes) if axes else greys[:1]
    response = host.ask("POST", "/encode", json={"images": sent.tolist()})
    np.testing.assert_allclose(response.json()["z_mean"], small_model.encode(greys[:1])[0], **CLOSE)


def test_a_png_goes_in_and_a_png_comes_out_that_names_the_model(host, small_model, greys):
    response = host.ask("POST", "/reconstruct", content=png(greys[0]), headers=PNG | {"accept": "image/png"})
    assert response.headers["content-type"] == "image/png"
    check_named(response)
    np.testing.assert_allclose(read_png(response.content), small_model.reconstruct(greys[:1])[0, ..., 0], **PIXEL)
    assert b"vaeline.digest" in response.content
    assert identity(1).digest.encode() in response.content


def test_several_pngs_go_in_and_out_as_base64(host, small_model, greys):
    sent = [base64.b64encode(png(image)).decode() for image in greys[:3]]
    response = host.ask("POST", "/reconstruct?images=png", json={"png": sent})
    assert "images" not in response.json()
    drawn = np.stack([read_png(text) for text in response.json()["png"]])
    np.testing.assert_allclose(drawn, small_model.reconstruct(greys[:3])[..., 0], **PIXEL)
    alone = host.ask("POST", "/reconstruct", json={"png": sent[1]})
    np.testing.assert_allclose(alone.json()["images"], small_model.reconstruct(greys[1:2])[..., 0], **CLOSE)


def test_several_images_as_one_png_are_a_square_row_by_row(host, small_model):
    latents = np.random.default_rng(1).normal(size=(5, 2)).astype("float32")
    response = host.ask("POST", "/decode", json={"latents": latents.tolist()}, headers={"accept": "image/png"})
    sheet = read_png(response.content)
    height, width, _ = small_model.image.shape
    assert sheet.shape == (2 * height, 3 * width)
    tiles = sheet.reshape(2, height, 3, width).swapaxes(1, 2).reshape(6, height, width)
    np.testing.assert_allclose(tiles[:5], small_model.decode(latents)[..., 0], **PIXEL)
    assert not tiles[5].any()


def test_a_picture_of_another_size_is_fitted(host, small_model, greys):
    large = np.kron(np.rint(greys[0, ..., 0] * 255), np.ones((4, 4))).astype("uint8")
    response = host.ask("POST", "/encode", content=png(large), headers=PNG)
    np.testing.assert_allclose(response.json()["z_mean"], small_model.encode(greys[:1])[0], atol=0.05)


def test_samples_are_those_of_their_seed(host, small_model):
    response = host.ask("GET", "/sample?n=4&seed=9&temperature=0.5")
    np.testing.assert_allclose(response.json()["images"], small_model.sample(4, 9, 0.5)[..., 0], **CLOSE)
    check_named(response)


def test_a_conditional_model_is_told_and_asked_for_labels(conditional_model, greys):
    with Host(Shelf(conditional_model)) as host:
        response = host.ask("GET", "/sample?n=3&label=7")
        np.testing.assert_allclose(response.json()["images"], conditional_model.sample(3, 1, 1.0, 7)[..., 0], **CLOSE)
        response = host.ask("POST", "/encode?label=7", json={"images": greys[:2].tolist()})
        np.testing.assert_array_equal(np.array(response.json()["z_mean"])[:, -10:], np.eye(10)[[7, 7]])
        about = host.ask("GET", "/version").json()
    assert (about["is_conditional"], about["label_dim"], len(about["axes"])) == (True, 10, 3)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html, image/avif, */*;q=0.8", "application/json"),
        ("image/*", "image/png"),
        ("application/json;q=0.5, image/png", "image/png"),
        ("application/json, image/png;q=0.9", "application/json"),
        ("IMAGE/PNG", "image/png"),
        ("application/json;q=0, */*", "image/png"),
        ("image/png;q=nan, application/json;q=0.1", "application/json"),
    ],
)
def test_the_accept_header_chooses(host, accept, kind):
    response = host.ask("GET", "/sample", headers={"accept": accept})
    assert response.headers["content-type"] == kind


GOOD = {"images": np.zeros((1, *MNIST_IMAGE.shape)).tolist()}
CUT_OFF = png(np.random.default_rng(1).random(MNIST_IMAGE.shape))[:400]
BOMB = png(np.zeros((4001, 4001), "uint8"))


@pytest.mark.parametrize(
    ("path", "arguments", "status", "sentence"),
    [
        ("/encode", {"content": b"", "headers": JSON}, 400, "the body is not JSON: EOF"),
        ("/encode", {"content": b'{"images": [[NaN]]}', "headers": JSON}, 400, "the body is not JSON"),
        ("/encode", {"content": b"[" * 100_000, "headers": JSON}, 400, "recursion limit exceeded"),
        ("/encode", {"content": b'{"images": ' + b"9" * 10_000 + b"}", "headers": JSON}, 400, "number out of range"),
        ("/encode", {"content": b"\xff\xfe", "headers": JSON}, 400, "the body is not JSON"),
        ("/encode", {"json": [1]}, 422, "must be a JSON object with images or png"),
        ("/encode", {"json": {}}, 422, "must be a JSON object with images or png"),
        ("/encode", {"json": {**GOOD, "png": []}}, 422, "and nothing else"),
        ("/encode", {"json": {"latents": [[0, 0]]}}, 422, "with images or png"),
        ("/encode", {"json": {"images": "x"}}, 422, "images must be a list of numbers"),
        ("/encode", {"json": {"images": ["0.5"]}}, 422, "images must be numbers, in lists of equal lengths"),
        ("/encode", {"json": {"images": [[0.5], [0.5, 1]]}}, 422, "in lists of equal lengths"),
        ("/encode", {"json": {"images": [[None]]}}, 422, "images must be numbers"),
        ("/encode", {"json": {"images": [[True, 0.5]]}}, 422, "images must be numbers"),
        ("/encode", {"json": {"images": [10**30]}}, 422, r"got \(1,\)"),
        ("/encode", {"json": {"images": [10**400]}}, 422, r"got \(1,\)"),
        ("/encode", {"json": {"images": []}}, 422, r"shape \(n, 28, 28, 1\), got \(0,\)"),
        ("/encode", {"json": {"images": [[[0.5] * 27] * 28]}}, 422, r"got \(1, 28, 27\)"),
        ("/encode", {"json": {"images": [[[1e300] * 28] * 28]}}, 422, "pixels must be between 0 and 1, got inf"),
        ("/encode", {"json": {"images": [[[-1] * 28] * 28]}}, 422, "pixels must be between 0 and 1"),
        ("/encode", {"json": {"images": [[[0.5] * 28] * 28] * 257}}, 413, "257 images in one request; at most 256"),
        ("/encode", {"json": {"png": "%%%"}}, 400, r"png\[0\] is not base64"),
        ("/encode", {"json": {"png": [1]}}, 422, "png must be a picture as base64 text"),
        ("/encode", {"json": {"png": []}}, 422, "png must hold at least one picture"),
        ("/encode", {"json": {"png": ["aaaa", "bbbb"]}}, 400, r"png\[0\]: not a PNG picture"),
        ("/encode", {"content": b"GIF89a", "headers": PNG}, 400, "the picture: not a PNG picture"),
        (
            "/encode",
            {"content": CUT_OFF, "headers": PNG},
            400,
            "the picture: a broken picture",
        ),
        (
            "/encode",
            {"content": BOMB, "headers": PNG},
            400,
            r"too large: 4001 × 4001 pixels \(height × width\), at most",
        ),
        ("/encode", {"content": b"{}", "headers": {}}, 415, "send application/json or image/png"),
        ("/decode", {"content": b"x", "headers": PNG}, 415, "send application/json, and name it"),
        ("/encode", {"json": GOOD, "headers": {"accept": "image/png"}}, 406, "this path answers application/json"),
        ("/reconstruct", {"json": GOOD, "headers": {"accept": "text/csv"}}, 406, "application/json or image/png"),
        ("/decode", {"json": {"latents": [[0, 0, 0]]}}, 422, r"latents of shape \(n, 2\), got \(1, 3\)"),
        ("/decode", {"json": {"latents": [[1e39, 0]]}}, 422, "latents must be finite"),
        ("/encode?label=3", {"json": GOOD}, 422, "is not conditioned on classes; got 3"),
        ("/encode?label=abc", {"json": GOOD}, 422, "label: should be a valid integer"),
        ("/score?seed=-1", {"json": GOOD}, 422, "seed: should be greater than or equal to 0"),
        ("/score?seed=99999999999999999999", {"json": GOOD}, 422, "seed: should be less than or equal to 2147483647"),
        ("/reconstruct?images=gif", {"json": GOOD}, 422, "images: should be 'greys' or 'png'"),
    ],
)
def test_what_cannot_be_answered_gets_a_sentence(host, path, arguments, status, sentence):
    response = host.ask("POST", path, **arguments)
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) - {"model"} == {"error", "status"}
    assert body["status"] == status
    assert len(body["error"]) < 200
    assert re.search(sentence, body["error"]), body["error"]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("n=0", "n: should be greater than or equal to 1"),
        ("n=-5", "n: should be greater than or equal to 1"),
        ("n=257", "n: should be at most 256"),
        ("n=1e9", "n: should be a valid integer"),
        ("n=" + "9" * 5000, "n: "),
        ("temperature=nan", "temperature: "),
        ("temperature=-1", "temperature: should be greater than or equal to 0"),
        ("temperature=inf", "temperature: should be less than or equal to 10"),
        ("label=0", "is not conditioned on classes; got 0"),
    ],
)
def test_samples_that_cannot_be_drawn_get_a_sentence(host, query, sentence):
    response = host.ask("GET", f"/sample?{query}")
    assert response.status_code == 422
    assert sentence in response.json()["error"]
    assert len(response.json()["error"]) < 200


def test_what_a_model_refuses_names_that_model(host):
    check_named(host.ask("POST", "/decode", json={"latents": [[0, 0, 0]]}))
    assert host.ask("POST", "/decode", json={}).json().keys() == {"error", "status"}


def test_unknown_paths_and_methods_get_a_sentence(host):
    response = host.ask("GET", "/nothing")
    assert (response.status_code, response.json()["error"]) == (404, "there is no such path; /docs lists all paths")
    response = host.ask("GET", "/encode")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert host.ask("GET", "/page/../app.py").status_code == 404
    assert host.ask("GET", "/page/%2e%2e/app.py").status_code == 404


def test_without_a_model_it_lives_but_is_not_ready_and_says_why(shelf):
    shelf.models[1] = ValueError("broken archive")
    with Host(shelf) as host:
        assert host.ask("GET", "/healthz").json() == {"alive": True}
        ready = host.ask("GET", "/readyz")
        assert ready.status_code == 503
        assert ready.json()["trouble"] == "models:/vae-digits/1: ValueError: broken archive"
        for response in (host.ask("GET", "/sample"), host.ask("POST", "/encode", json=GOOD)):
            assert response.status_code == 503
            assert response.headers["retry-after"] == "1"
            assert response.json()["error"] == f"there is no model yet: {ready.json()['trouble']}"
        assert "vaeline-model" not in host.ask("GET", "/version").headers


def test_it_says_what_it_serves(host):
    ready = host.ask("GET", "/readyz")
    assert ready.status_code == 200
    assert ready.json() == {
        "ready": True,
        "model": NAMED,
        "following": "models:/vae-digits@champion",
        "up_to_date": True,
        "trouble": None,
        "refused": None,
    }
    about = host.ask("GET", "/version")
    check_named(about)
    content = about.json()
    assert content["title"] == "vae, mlp, 2-D"
    assert content["ink"] is True
    assert content["checks"] == ["digest", "every mode answers"]
    assert content["figures"] == {"neg_elbo": 150.5}
    assert content["limits"]["most_images"] == 256
    assert [axis["index"] for axis in sorted(content["axes"], key=lambda axis: axis["index"])] == [0, 1]


def test_a_model_that_breaks_down_answers_500_and_goes_on(host, monkeypatch):
    def broken(*_):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(VAE, "decode_logits", broken)
        response = host.ask("GET", "/sample")
    assert response.status_code == 500
    assert response.json()["error"] == "the model failed on this request; the server's log says why"
    check_named(response)
    assert host.ask("GET", "/sample").status_code == 200


def test_an_error_that_nobody_foresaw_is_a_500_without_a_trace(host, monkeypatch):
    monkeypatch.setattr(Service, "about", lambda self, situation: 1 / 0)
    response = host.ask("GET", "/version")
    assert response.status_code == 500
    assert response.json()["error"] == "this request failed; the server's log says why"
    assert host.sample("vaeline_requests_total", endpoint="/version", status="500") == 1


def test_the_pages_load_what_is_packaged_and_nothing_from_elsewhere(host):
    files = {file.name: file.read_text() for file in PAGE.iterdir()}
    named = set(re.findall(r'"/page/([\w.]+)"', "".join(files.values())))
    assert named == files.keys() - {"index.html", "docs.html"}
    for name in named:
        assert host.ask("GET", f"/page/{name}").status_code == 200
    without_names = {name: text.replace("http://www.w3.org/2000/svg", "") for name, text in files.items()}
    assert not [name for name, text in without_names.items() if re.search(r"https?://|@import|\burl\(", text)]
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["vaeline"]
    assert all(any((PAGE / name).match(pattern) for pattern in packaged) for name in files)


def test_browsers_are_told_to_load_nothing_from_elsewhere(host):
    for path in ("/", "/docs", "/version"):
        assert host.ask("GET", path).headers["content-security-policy"].startswith("default-src 'self';")


def test_prometheus_is_told_of_requests_batches_and_the_model(shelf):
    with Host(shelf) as host:
        for path in ("/sample?n=3", "/sample?n=0", "/some/one", "/some/two"):
            host.ask("GET", path)
        text = host.ask("GET", "/metrics").text
    for line in (
        'vaeline_requests_total{endpoint="/sample",status="200"} 1.0',
        'vaeline_requests_total{endpoint="/sample",status="422"} 1.0',
        'vaeline_requests_total{endpoint="other",status="404"} 2.0',
        'vaeline_request_seconds_count{endpoint="/sample"} 2.0',
        'vaeline_batch_images_sum{mode="sample"} 3.0',
        f'vaeline_model_info{{digest="{1:064x}",name="vae-digits",uri="models:/vae-digits/1",version="1"}} 1.0',
        "vaeline_model_swaps_total 0.0",
        "vaeline_model_failed_loads_total 0.0",
        "vaeline_model_up_to_date 1.0",
        "vaeline_requests_in_work 0.0",
    ):
        assert line in text


def test_openapi_has_an_example_and_every_refusal_for_each_path(host):
    content = host.ask("GET", "/openapi.json").json()
    assert set(content["paths"]) == {*MODEL_PATHS, "/fit", "/healthz", "/readyz", "/version", "/metrics"}
    for path in MODEL_PATHS:
        (operation,) = content["paths"][path].values()
        own = {"400", "406", "422", "429", "500", "503", "504"}
        own |= {"408", "413", "415"} if path != "/sample" else set()
        assert set(operation["responses"]) == {"200", *own}
        for status, response in operation["responses"].items():
            example = response["content"]["application/json"]["example"]
            assert set(example) >= ({"model"} if status == "200" else {"error", "status"})
        assert set(operation["responses"]["200"]["headers"]) == {"Vaeline-Model", "Vaeline-Digest"}
        assert all(parameter.get("description") for parameter in operation.get("parameters", []))


def test_the_examples_of_openapi_are_answered(host):
    content = host.ask("GET", "/openapi.json").json()
    sent = 0
    for path in set(MODEL_PATHS) - {"/sample"}:
        body = content["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        for example in body["examples"].values():
            response = host.ask("POST", path, json=example["value"])
            assert response.status_code == 200, response.text
            sent += 1
    assert sent == 7
