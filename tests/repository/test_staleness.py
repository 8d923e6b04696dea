"""What a change makes stale, as DVC itself says in a copy of this repository whose outputs are dummies.

No stage runs: `dvc commit --force` writes a dvc.lock over the dummies, a test edits the copy, and `dvc status` says
what would run again. Beside it stands what `vaeline retrain --if-due` compares: the lock and the edited files.
"""

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import ROOT
from dvc.repo import Repo
from forking.programs import forked_python

from vaeline.retraining.due import Champion, DueFacts, judge
from vaeline.retraining.inputs import present_inputs, recorded_inputs
from vaeline.stages import read_stages
from vaeline.tracking.locks import locked_stages
from vaeline.tracking.programs import program_tags

FOLDERS = ("src", "pipeline", "data/own", "data/accepted", "data/profiles")
FILES = ("dvc.yaml", "params.yaml", "requirements.lock")
QUIET = """
from vaeline.models.vae import VAE

class QuietVAE(VAE):
    pass

MODEL = QuietVAE
"""


@pytest.fixture(scope="module")
def made(processes, tmp_path_factory):
    """A copy of the repository in which every stage is up to date."""
    root = tmp_path_factory.mktemp("stale") / "made"
    for name in FOLDERS:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.npz"))
    for name in FILES:
        shutil.copy(ROOT / name, root / name)
    for arguments in (["init", "--quiet", "--no-scm"], ["config", "core.analytics", "false"]):
        subprocess.run([forked_python(), "-m", "dvc", *arguments], cwd=root, check=True)
    for stage in read_stages(root).values():
        for path in stage.outs:
            file = root / path if Path(path).suffix else root / path / "made.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(path)
    subprocess.run([forked_python(), "-m", "dvc", "commit", "--force", "--quiet"], cwd=root, check=True)
    return root


@pytest.fixture
def copy(made, tmp_path, monkeypatch):
    root = tmp_path / "copy"
    shutil.copytree(made, root, ignore=shutil.ignore_patterns("tmp"))
    monkeypatch.chdir(root)
    return root


def stale() -> set[str]:
    """The stages that `dvc repro` would run for their own sake; those after them may follow."""
    with Repo() as repo:
        return set(repo.status())


def is_due(tags: dict[str, str]) -> bool:
    """Whether a retraining is due if the champion is what dvc.lock records, trained with these tags, a minute ago."""
    now = datetime.now(UTC)
    champion = Champion("1", "d" * 64, now - timedelta(minutes=1), recorded_inputs(locked_stages(), tags))
    return bool(judge(DueFacts(present_inputs(), champion, None, None, timedelta(days=30), now)))


def run_tags() -> dict[str, str]:
    """What a run says that was trained with the files here."""
    return program_tags() | {"vaeline.environment_sha256": present_inputs().environment}


def add_to(file: str, text: str) -> None:
    """Append to a file, or make it."""
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    with Path(file).open("a", encoding="utf-8") as stream:
        stream.write(text)


def add_field(section: str) -> None:
    """A new key of a section: in params.yaml, and in the model that types the section."""
    values, module = Path("params.yaml"), Path(f"src/vaeline/params/{section}.py")
    values.write_text(re.sub(rf"(?m)^{section}:.*\n", r"\g<0>  another: 1\n", values.read_text()))
    head = r'(?ms)^(class \w+Params\(Section\):\n    """.*?"""\n)'
    typed = re.sub(head, r"\1\n    another: int\n", module.read_text())
    module.write_text(typed)
    assert "another: 1" in values.read_text()
    assert "another: int" in typed


def add_section(section: str) -> None:
    """A new section: in params.yaml, with a module of its own, and in the model of the whole file."""
    add_to("params.yaml", f"\n{section}:\n  another: 1\n")
    add_to(f"src/vaeline/params/{section}.py", f"class {section.title()}Params(Section):\n    another: int\n")
    add_to("src/vaeline/params/whole.py", f"    {section}: {section.title()}Params\n")


def test_what_no_stage_up_to_evaluate_reads_makes_none_of_them_stale_and_no_retraining_due(copy):
    assert stale() == set()
    tags = run_tags()
    for section in ("gate", "monitor", "retrain", "registry", "ingest"):
        add_field(section)
    add_section("serve")
    add_to("src/vaeline/cli/another_command.py", "x = 1\n")
    add_to("src/vaeline/cli/app.py", "x = 1\n")
    add_to("src/vaeline/pages.py", "x = 1\n")
    add_to("docs/another_page.md", "# Another page\n")
    add_to("src/vaeline/models/kinds/quiet/model.py", QUIET)
    add_to("src/vaeline/models/kinds/quiet/params.py", "PARAMS = ModelParams\n")
    add_to("src/vaeline/models/likelihoods/laplace.py", "LIKELIHOOD = Laplace\n")
    assert stale() == set()
    assert not is_due(tags)


def test_what_only_figures_read_makes_only_figures_stale_and_no_retraining_due(copy):
    tags = run_tags()
    add_field("plot")
    add_to("src/vaeline/samples/figure.py", "x = 1\n")
    add_to("src/vaeline/samples/another_figure.py", "x = 1\n")
    assert stale() == {"plot"}
    assert not is_due(tags)


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("src/vaeline/params/data.py", {"fetch", "prepare", "validate"}),
        ("src/vaeline/params/train.py", {"train"}),
        ("src/vaeline/models/vae.py", {"train", "evaluate", "plot", "register"}),
        ("src/vaeline/models/kinds/vae/model.py", {"train", "evaluate", "plot", "register"}),
        ("src/vaeline/models/kinds/iwae/model.py", set()),
        ("src/vaeline/models/kinds/iwae/params.py", set()),
        ("src/vaeline/models/likelihoods/bernoulli.py", {"train", "evaluate", "plot", "register"}),
        ("src/vaeline/models/likelihoods/gaussian.py", set()),
    ],
)
def test_a_change_of_code_reaches_the_stages_that_import_it(copy, file, stages):
    tags = run_tags()
    add_to(file, "# a comment\n")
    assert stale() == stages, "DVC goes by bytes"
    assert not is_due(tags), "a comment is no other program"
    assert is_due({name: tags[name] for name in tags if "programs" not in name}) == bool(stages), "md5 is all there is"
    add_to(file, "x = 1\n")
    assert is_due(tags) == bool(stages)


def test_a_comment_in_the_parameters_makes_nothing_stale_and_no_retraining_due(copy):
    tags, values = run_tags(), Path("params.yaml")
    values.write_text("# ours\n\n" + re.sub(r"(?m)^(\w+):(.*)$", r"\1:\2  # a section", values.read_text()))
    assert stale() == set()
    assert not is_due(tags)
    add_to("params.yaml", "# an end\n")
    assert stale() == set()


def test_another_kind_is_another_training(copy):
    tags = run_tags()
    values = Path("params.yaml")
    values.write_text(values.read_text().replace("kind: vae ", "kind: iwae "))
    assert "train" in stale()
    assert is_due(tags)
