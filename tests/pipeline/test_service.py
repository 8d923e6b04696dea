"""`vaeline serve` as a process: it follows an alias in a real store, draws in a browser, and ends when it is told."""

import contextlib
import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from conftest import ROOT
from pipeline.service import PATIENCE, Server
from playwright.sync_api import expect
from screenshots import find_browser, open_page
from service_page import SEVEN, click_plane, draw, show_page, wait_until_idle

from vaeline.archive import save_archive
from vaeline.data.sources import MNIST_IMAGE
from vaeline.images.png import save_picture
from vaeline.models.archive import load_model
from vaeline.models.build import build_model
from vaeline.registry.stored import ARCHIVE
from vaeline.tracking.runs import DIGEST_TAG

NAME = "vae-digits"
DARK, LIGHT = np.array([21, 24, 31]), np.array([255, 244, 224])  # the page draws greys from one to the other
needs_browser = pytest.mark.skipif(find_browser() is None, reason="no Chromium: `make browser` installs one")


def point(client, version):
    """Move the alias."""
    client.set_registered_model_alias(NAME, "champion", version)


class Registry:
    """The served versions: 1 is the trained model, 2 another of twenty latents, 3 is not what its tag says."""

    def __init__(self, workspace, store, folder):
        self.client = workspace.client(store)
        self.models = {"1": load_model(workspace.root / "models/vae.keras")}
        changes = {"latent_dim": 20, "architecture": "mlp", "width": 16}
        params = self.models["1"].params.model_copy(update=changes)
        self.models["2"] = build_model(params, MNIST_IMAGE, 10, 2)
        digest = save_archive(self.models["2"], folder / "vae.keras")
        experiment = self.client.create_experiment("vae-others", (folder / "others").as_uri())
        for tag in (digest, "0" * 64):
            run = self.client.create_run(experiment)
            self.client.log_artifact(run.info.run_id, str(folder / "vae.keras"), ARCHIVE.rpartition("/")[0])
            self.client.create_model_version(NAME, run.info.artifact_uri, run.info.run_id, tags={DIGEST_TAG: tag})

    def point(self, version):
        point(self.client, version)


def copy_store(promoted, folder):
    """The address of a copy of the store, whose one served version is no champion."""
    return f"sqlite:///{shutil.copy(promoted.removeprefix('sqlite:///'), folder)}"


@pytest.fixture(scope="module")
def store(promoted, tmp_path_factory):
    return copy_store(promoted, tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def registry(finished, store, tmp_path_factory):
    return Registry(finished, store, tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="module")
def running(finished, registry, store, tmp_path_factory):
    registry.point("1")
    with Server(finished, store, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def server(running, registry):
    """The service of a module, with version 1 as the champion that it serves."""
    registry.point("1")
    running.wait_for(lambda state: state["up_to_date"] and state["model"]["version"] == "1")
    return running


@pytest.fixture(scope="module")
def images(finished):
    return np.load(finished.root / "data/prepared/test_images-00000.npy")[:3].astype("float32") / 255


def test_it_waits_for_a_champion_and_sigterm_lets_what_is_in_work_be_answered(finished, promoted, images, tmp_path):
    store = copy_store(promoted, tmp_path)
    with Server(finished, store, tmp_path, sys.executable) as server:
        wait_for_a_champion(server, finished.client(store))
        end_while_in_work(server, images)


def wait_for_a_champion(server, client):
    """Without a champion it says so; then the first one comes."""
    state = server.wait_for(lambda state: state["trouble"])
    assert state["trouble"].startswith(
        "models:/vae-digits@champion: no such registered version; the versions are: models:/vae-"
    )
    assert server.ask("/readyz")[0] == 503
    assert server.ask("/sample")[0] == 503
    point(client, "1")
    state = server.wait_for_version("1")
    assert (state["ready"], state["up_to_date"], state["trouble"]) == (True, True, None)


def end_while_in_work(server, images):
    """SIGTERM in the middle of a request: no other is taken, this one is answered, and the process ends well."""
    body = json.dumps({"images": images.tolist()}).encode()
    head = "POST /encode HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as connection:
        connection.sendall(head.encode() + body[:100])
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", server.port), 1)
        connection.sendall(body[100:])
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["model"]["version"] == "1"
    assert server.process.wait(PATIENCE) == 0
    assert "Traceback" not in server.log.read_text()


def test_the_alias_moves_under_load_and_each_answer_is_of_one_version(server, registry, images):
    expected = {version: np.asarray(model.reconstruct(images))[..., 0] for version, model in registry.models.items()}
    body = {"images": np.round(images, 4).tolist()}
    found, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            found.append(server.ask("/reconstruct", body))

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for version in ("2", "1", "2", "1"):
        registry.point(version)
        server.wait_for_version(version)
        before = len(found)
        while len(found) < before + 6 and any(asker.is_alive() for asker in askers):
            time.sleep(0.01)
    stop.set()
    for asker in askers:
        asker.join()
    assert {status for status, _, _ in found} == {200}
    versions = [answer["model"]["version"] for _, _, answer in found]
    assert set(versions) == {"1", "2"}
    for _, headers, answer in found:
        assert headers["Vaeline-Model"] == answer["model"]["uri"]
        np.testing.assert_allclose(answer["images"], expected[answer["model"]["version"]], atol=1e-3)


def failed_loads(server):
    with urllib.request.urlopen(f"{server.address}/metrics") as response:
        return float(re.search(r"vaeline_model_failed_loads_total ([\d.]+)", response.read().decode())[1])


def test_a_version_that_is_not_what_its_tag_says_is_refused_and_the_champion_goes_on(server, registry, images):
    before = failed_loads(server)
    registry.point("3")
    state = server.wait_for(lambda state: state["refused"])
    assert state["ready"]
    assert not state["up_to_date"]
    assert (state["model"]["version"], state["refused"]["version"]) == ("1", "3")
    assert re.search(r"models:/vae-digits@champion: SHA-256 is [0-9a-f]{64}, expected 0{64}", state["trouble"])
    status, _, answer = server.ask("/encode", {"images": images.tolist()})
    assert (status, answer["model"]["version"]) == (200, "1")
    assert failed_loads(server) == before + 1


@pytest.fixture(scope="module")
def browser():
    with open_page(find_browser()) as opened:
        yield opened


@pytest.fixture
def page(browser, server):
    """The service's page, newly opened."""
    opened, problems = browser
    problems.clear()
    show_page(opened, server.address)
    yield opened
    assert problems == []


def bright(page, canvas):
    """How much light a canvas shows beyond its ground."""
    script = """canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
      .reduce((sum, value, place) => sum + (place % 4 === 0 ? Math.max(0, value - 21) : 0), 0)"""
    return page.locator(canvas).evaluate(script)


@needs_browser
def test_a_click_in_the_plane_shows_the_digit_of_these_latents(page, registry):
    expect(page.locator("#name")).to_have_text("vae-digits version 1")
    expect(page.locator("#digest")).to_have_text(registry.client.get_model_version(NAME, "1").tags[DIGEST_TAG][:12])
    assert bright(page, "#plane") > 0
    shown = []
    for x, y in ((0.1, 0.1), (0.9, 0.9)):
        with page.expect_request("**/decode") as asked:
            click_plane(page, x, y)
        shown.append((asked.value.post_data_json["latents"], page.locator("#decoded").evaluate("c => c.toDataURL()")))
    (first, picture), (second, other) = shown
    assert first[0] < 0 < first[1]
    assert second[1] < 0 < second[0]
    assert picture != other
    page.locator("#plane").press("ArrowLeft")
    wait_until_idle(page)
    assert page.locator("#decoded").evaluate("c => c.toDataURL()") != other


def greys(page, canvas):
    """The greys (height, width) that a canvas shows. All channels must show the same."""
    height, width = MNIST_IMAGE.height, MNIST_IMAGE.width
    script = f"canvas => [...canvas.getContext('2d').getImageData(0, 0, {width}, {height}).data]"
    colours = np.array(page.locator(canvas).evaluate(script)).reshape(height, width, 4)[..., :3]
    shown = (colours - DARK) / (LIGHT - DARK)
    np.testing.assert_allclose(shown, shown[..., :1].repeat(3, axis=2), atol=0.01)
    return np.clip(shown[..., 0], 0, 1)


@needs_browser
def test_a_drawn_digit_is_rebuilt_and_scored_as_the_model_does(page, server, registry):
    with page.expect_request("**/score") as asked:
        draw(page, SEVEN)
    assert asked.value.headers["content-type"] == "image/png"
    given = greys(page, "#seen")
    assert given.sum() > 30
    middle = (given.sum(axis=0) * np.arange(given.shape[1])).sum() / given.sum()
    assert abs(middle - 13.5) < 1, "it is not in the middle"
    rebuilt = np.asarray(registry.models["1"].reconstruct(given[None, ..., None].astype("float32")))[0, ..., 0]
    np.testing.assert_allclose(greys(page, "#rebuilt"), rebuilt, atol=0.03)
    score = server.ask("/score", {"images": given.tolist()})[2]
    total = float(re.search(r"[\d.]+", page.locator("#total").inner_text())[0])
    assert total == pytest.approx(score["neg_elbo"][0], rel=0.02)
    expect(page.locator("#parts")).to_contain_text("test set, mean")
    expect(page.locator("#own")).to_be_visible()
    page.locator("#start").click()
    wait_until_idle(page)
    np.testing.assert_allclose(greys(page, "#decoded"), rebuilt, atol=0.03)
    page.locator("#clear").click()
    expect(page.locator("#total")).to_be_empty()
    expect(page.locator("#own")).to_be_hidden()
    assert bright(page, "#rebuilt") == 0


@needs_browser
def test_the_page_follows_the_champion_and_shows_sliders_for_more_latents(page, registry):
    registry.point("2")
    expect(page.locator("#name")).to_have_text("vae-digits version 2")
    expect(page.locator("#title")).to_have_text("vae, mlp, 20-D")
    expect(page.locator("#sliders label")).to_have_count(6)
    wait_until_idle(page)
    with page.expect_request("**/decode") as asked:
        page.locator("#sliders input").first.fill("1.5")
        wait_until_idle(page)
    assert len(np.ravel(asked.value.post_data_json["latents"])) % 20 == 0
    registry.point("3")
    expect(page.locator("#trouble")).to_contain_text("vae-digits version 2 still answers")
    expect(page.locator("#light")).to_have_class("kept")
    registry.point("1")
    expect(page.locator("#name")).to_have_text("vae-digits version 1")
    expect(page.locator("#trouble")).to_be_hidden()
    expect(page.locator("#sliders label")).to_have_count(0)


@needs_browser
def test_the_api_has_a_page_of_its_own(page, server):
    page.goto(f"{server.address}/docs")
    for path in (
        "/reconstruct",
        "/encode",
        "/decode",
        "/sample",
        "/score",
        "/healthz",
        "/readyz",
        "/version",
        "/metrics",
    ):
        expect(page.locator("h2", has_text=path)).to_be_visible()
    expect(page.locator("pre", has_text="--data-binary @image.png").first).to_be_visible()


def test_what_is_no_request_is_survived(server):
    head = b"POST /encode HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    for sent in (
        b"\0" * 1000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 100_000,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000,
        head + b"Content-Length: 1000000\r\n\r\nshort",
        head + b"Content-Length: -1\r\n\r\n",
        head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{\r\n",
        head + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    ):
        address = ("127.0.0.1", server.port)
        with socket.create_connection(address, PATIENCE) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65536)
    assert server.ask("/sample")[0] == 200


def test_who_sends_too_much_still_reads_why(server):
    for size in (4_000_001, 20_000_000):
        status, _, answer = server.ask("/encode", b" " * size)
        assert (status, answer["error"]) == (413, "the body is larger than 4,000,000 bytes (--most-bytes)")


def documented_commands():
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/serving.md").read_text(), re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", "").splitlines()]


def test_the_commands_of_the_documentation_work(server, images, tmp_path):
    commands = [command for command in documented_commands() if command.startswith("curl ")]
    assert len(commands) >= 9
    save_picture(images[0], tmp_path / "image.png")
    (tmp_path / "images.json").write_text(json.dumps({"images": np.round(images, 3).tolist()}))
    for command in commands:
        arguments = shlex.split(command.replace("http://127.0.0.1:8000", server.address))
        done = subprocess.run([*arguments, "--fail"], cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, (command, done.stderr)
        for name in re.findall(r"-o (\S+)", command):
            assert (tmp_path / name).read_bytes()[:4] == b"\x89PNG"
