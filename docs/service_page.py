"""Make the picture of the page of `vaeline serve`: `python docs/service_page.py [MODEL]`, at the repository's root.

Needs Chromium (`make browser`). The tests of the page use the same functions.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Locator, Page, expect
from screenshots import MARGIN, TALL, WIDTH, find_browser, open_page, serving, write_picture

COLORS = 256
SEVEN = ((0.28, 0.24), (0.72, 0.22), (0.5, 0.8))
THREE = (
    *((0.3, 0.27), (0.37, 0.2), (0.48, 0.17), (0.6, 0.19), (0.68, 0.27), (0.67, 0.37), (0.58, 0.45), (0.46, 0.48)),
    *((0.6, 0.51), (0.7, 0.6), (0.7, 0.7), (0.62, 0.79), (0.49, 0.83), (0.36, 0.81), (0.28, 0.74)),
)


def draw(page: Page, strokes: Sequence[tuple[float, float]]) -> None:
    """Draw one line through points, given as shares of the pad's sides, and wait for the score."""
    box = page.locator("#pad").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in strokes]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places:
        page.mouse.move(*place, steps=5)
    page.mouse.up()
    wait_until_idle(page)
    expect(page.locator("#total")).to_contain_text("nats")


def click_plane(page: Page, x: float, y: float) -> None:
    """Click in the latent plane, at shares of its sides, and wait for the image of this point."""
    box = page.locator("#plane").bounding_box()
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    wait_until_idle(page)


def wait_until_idle(page: Page) -> None:
    """Wait until the page has the answers to all its requests."""
    page.wait_for_function("() => document.body.dataset.pending === '0'")


def show_page(page: Page, address: str) -> Locator:
    """Open the page, wait until everything is drawn, and return its lowest part."""
    page.goto(address)
    expect(page.locator("#light")).to_have_class("fine")
    wait_until_idle(page)
    return page.locator("#answered")


def main() -> None:
    """Write `service.png`."""
    browser, model = find_browser(), sys.argv[1:2] or ["models/vae.keras"]
    if browser is None:
        sys.exit("python docs/service_page.py [MODEL]: needs a Chromium (`make browser`)")
    log = Path(".vaeline/serve.log")
    with (
        serving(Path.cwd(), log, os.environ, "serve", "--model", *model, healthy="/readyz") as address,
        open_page(browser, height=TALL) as (page, problems),
    ):
        last = show_page(page, address)
        draw(page, THREE)
        click_plane(page, 0.83, 0.83)
        page.mouse.move(0, 0)
        box = last.bounding_box()
        page.set_viewport_size({"width": WIDTH, "height": round(box["y"] + box["height"]) + MARGIN})
        write_picture(page.screenshot(), "service.png", COLORS)
    sys.exit("\n".join(problems) or None)


if __name__ == "__main__":
    main()
