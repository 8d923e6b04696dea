"""Two runs in the MLflow UI, seen as a user sees them: by a real browser, without a screen."""

import pytest
from playwright.sync_api import expect
from screenshots import find_browser, open_page, serving, show_charts, show_comparison, show_picture, show_runs

from vaeline.tracking.comparison import comparison_page

needs_browser = pytest.mark.skipif(find_browser() is None, reason="no Chromium: `make browser` installs one")
pytestmark = needs_browser


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("ui") / "server.log"


@pytest.fixture(scope="module")
def server(two_runs, log):
    with serving(two_runs.root, log, two_runs.environment()) as address:
        yield address


@pytest.fixture(scope="module")
def browser(server):
    with open_page(find_browser()) as opened:
        yield opened


@pytest.fixture
def page(browser):
    page, problems = browser
    problems.clear()
    yield page
    assert problems == []


def test_the_address_that_is_printed_shows_both_runs(page, two_runs, log):
    (line,) = [line for line in log.read_text().splitlines() if line.startswith("runs of vae-digits: ")]
    show_runs(page, line.removeprefix("runs of vae-digits: "), [run.info.run_name for run in two_runs.runs()])
    expect(page.get_by_role("link", name="Model registry")).to_be_visible()


def test_metrics_are_charted_in_groups(page, server, two_runs):
    groups = {name.split("/")[0] for name in two_runs.runs()[0].data.metrics}
    assert {"test", "train", "validation"} <= groups
    show_charts(page, server, two_runs.runs()[0].info.experiment_id, sorted(groups))


def test_two_runs_are_compared_by_what_differs(page, server, two_runs):
    newer, older = two_runs.runs()
    values = show_comparison(page, comparison_page([older, newer], server), "test/neg_elbo")
    expected = [run.data.metrics["test/neg_elbo"] for run in (older, newer)]
    assert [float(value) for value in values] == pytest.approx(expected, abs=0.06)
    for run in (older, newer):
        expect(page.get_by_role("cell", name=run.info.run_name)).to_be_visible()
    expect(page.get_by_role("row", name="model.latent_dim 2 3")).to_be_visible()
    expect(page.get_by_role("row", name="model.width")).to_have_count(0)


def test_a_runs_pictures_lie_in_one_folder_and_are_drawn(page, server, two_runs):
    older = two_runs.runs()[1].info
    picture = show_picture(page, server, older.experiment_id, older.run_id, "figures/manifold.png")
    assert picture.bounding_box()["width"] > 200
    for name in ("reconstructions.png", "samples.png", "learning_curves.png"):
        expect(page.get_by_text(name, exact=True)).to_be_visible()
