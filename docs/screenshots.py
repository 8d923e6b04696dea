"""Make the pictures of the MLflow UI for these pages: `python docs/screenshots.py RUN RUN`, at the repository's root.

Needs a Chromium (`make browser`) and two runs in the store, the baseline first. The UI's tests open these pages too.
"""

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, Response, expect, sync_playwright

from vaeline.tracking.comparison import comparison_page, resolve_run
from vaeline.tracking.store import TRAINING_VIEW, open_store

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",  # Chromium refuses root otherwise; it only ever opens a page of this machine
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
REMEMBERED = {"mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true"}  # else its panel opens over half of the page
HIDDEN = "button[data-assistant-ui='true'] {display: none} div[title*='/artifacts/'] {visibility: hidden}"
NAMES_STAND_BESIDE_VALUES = """() => {
    const tops = [...document.querySelectorAll("[role=grid]")].map(grid => grid.scrollTop)
    return Math.max(...tops) - Math.min(...tops) <= 2
}"""
HARMLESS = "/mlflow/users/current"  # the UI asks who is there; a server without accounts answers 404
PICTURES = Path(__file__).parent / "pictures"
WIDTH, HEIGHT, TALL, MARGIN = 1400, 1000, 1600, 24
COLORS = 64
PATIENCE = 60_000
UNFOLDING = 2_000


def find_browser() -> str | None:
    """The first Chromium on the PATH, as `make browser` finds it."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


@contextmanager
def serving(
    root: Path, log: Path, environment: Mapping[str, str], *arguments: str, healthy: str = "/health"
) -> Iterator[str]:
    """The address of `vaeline track ui`, or of `vaeline` with other arguments, on the store of `root`.

    It is served once `healthy` is answered well, and its whole process group ends with the block.
    """
    port = free_port()
    command = [sys.executable, "-m", "vaeline.cli", *(arguments or ("track", "ui")), "--port", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=root, env=dict(environment), stdout=output, stderr=output, start_new_session=True
        )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_until_healthy(process, f"{address}{healthy}", log)
        yield address
    finally:
        _end_group(process)


@contextmanager
def open_page(
    browser: str, height: int = HEIGHT, credentials: Mapping[str, str] | None = None
) -> Iterator[tuple[Page, list[str]]]:
    """An empty page of a new headless browser, and a list of the errors on the pages that it opens.

    `credentials` (username, password) are for a server that asks for them.
    """
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=FLAGS)
        page = chromium.new_page(
            viewport={"width": WIDTH, "height": height}, reduced_motion="reduce", http_credentials=credentials
        )
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        page.add_init_script(f"if (location.protocol == 'http:') Object.assign(localStorage, {json.dumps(REMEMBERED)})")
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
        page.on("response", lambda response: problems.extend(_refusal(response)))
        try:
            yield page, problems
        finally:
            chromium.close()


def show_runs(page: Page, address: str, names: list[str]) -> None:
    """Open a table of runs and wait until these are shown."""
    page.goto(address)
    for name in names:
        expect(page.get_by_role("link", name=name)).to_be_visible()


def show_charts(page: Page, server: str, experiment: str, groups: list[str]) -> None:
    """Open the charts of an experiment's runs and wait for the sections of these groups of metrics."""
    page.goto(f"{server}/#/experiments/{experiment}/runs?{TRAINING_VIEW}&compareRunsMode=CHART")
    for group in groups:
        section = page.get_by_role("figure").filter(has_text=re.compile(rf"^\s*{group}\s*\(\d+\)"))
        expect(section).to_be_attached()


def show_comparison(page: Page, address: str, metric: str) -> list[str]:
    """Open MLflow's comparison of runs, show only the differences, scroll to a metric and return its values as text."""
    page.goto("about:blank")
    page.goto(address)
    page.get_by_role("button", name="Visualizations").click()
    expect(page.get_by_text("Parallel Coordinates Plot")).to_be_hidden()
    for table in ("Parameters", "Metrics"):
        page.get_by_role("switch", name=f"{table} - Show diff only").check()
    link, values = page.get_by_role("link", name=metric, exact=True), page.get_by_role("grid").last
    _scroll_to(page, values, link)
    offset = link.evaluate("link => link.closest('[style*=top]').style.top")
    return values.locator(f"[style*='top: {offset};']").all_inner_texts()


def show_picture(page: Page, server: str, experiment: str, run: str, picture: str) -> Locator:
    """Open a run's artifacts and wait for a picture, `folder/file`, to be drawn; return its place."""
    page.goto(f"{server}/#/experiments/{experiment}/runs/{run}/artifacts?{TRAINING_VIEW}")
    for part in picture.split("/"):
        page.get_by_text(part, exact=True).click()
    drawn = page.locator("img[src^='blob:']").locator("visible=true").first
    expect(drawn).not_to_have_js_property("naturalWidth", 0)
    return drawn


def write_picture(screenshot: bytes, name: str, colors: int = COLORS) -> None:
    """Write a screenshot into the folder of pictures, with few colours."""
    picture = Image.open(io.BytesIO(screenshot))
    few = picture.convert("RGB").quantize(colors, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(PICTURES / name, optimize=True)


def free_port() -> int:
    """A free port of this machine."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _scroll_to(page: Page, grid: Locator, cell: Locator) -> None:
    """Scroll `grid` until it shows `cell`: MLflow draws only the visible part of a long table."""
    grid.hover()
    frame = grid.bounding_box()
    for _ in range(200):
        box = cell.bounding_box() if cell.count() else None
        if box and frame["y"] <= box["y"] <= frame["y"] + frame["height"] - box["height"]:
            return
        page.mouse.wheel(0, 200)
        page.mouse.wheel(0, 1)  # MLflow's names follow its values one event late
        page.wait_for_function(NAMES_STAND_BESIDE_VALUES)
    raise RuntimeError("the table was scrolled to its end without a row of the name")


def _refusal(response: Response) -> list[str]:
    refused = response.status >= 400 and not response.url.endswith(HARMLESS)
    return [f"{response.url}: status {response.status}"] if refused else []


def _wait_until_healthy(process: subprocess.Popen, address: str, log: Path) -> None:
    for _ in range(300):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    raise RuntimeError(f"the server did not start:\n{log.read_text()}")


def _end_group(process: subprocess.Popen) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(10)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _save(page: Page, last: Locator, name: str) -> None:
    """Write a picture of the page down to the end of `last`, without the elements that do not belong in it."""
    page.add_style_tag(content=HIDDEN)
    box = last.bounding_box()
    page.set_viewport_size({"width": WIDTH, "height": min(TALL, round(box["y"] + box["height"]) + MARGIN)})
    page.mouse.move(0, 0)
    write_picture(page.screenshot(), name)
    page.set_viewport_size({"width": WIDTH, "height": TALL})


def main() -> None:
    """Write `mlflow_compare.png` and `mlflow_run.png`."""
    browser = find_browser()
    if browser is None or len(sys.argv) != 3:
        sys.exit("python docs/screenshots.py RUN RUN: needs two runs, and a Chromium (`make browser`)")
    client = open_store()
    runs = [resolve_run(client, text)[0] for text in sys.argv[1:]]
    log = Path(".vaeline/ui.log")
    with serving(Path.cwd(), log, os.environ) as server, open_page(browser, height=TALL) as (page, problems):
        show_comparison(page, comparison_page(runs, server), "test/neg_elbo")
        _save(page, page.get_by_role("grid").last, "mlflow_compare.png")
        info = runs[1].info
        picture = show_picture(page, server, info.experiment_id, info.run_id, "figures/restorations.png")
        page.wait_for_timeout(UNFOLDING)
        _save(page, picture, "mlflow_run.png")
    sys.exit("\n".join(problems) or None)


if __name__ == "__main__":
    main()
