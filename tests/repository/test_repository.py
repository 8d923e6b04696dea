"""The repository itself: complete stage dependencies, sound workflows and locks, nothing committed by accident."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest
from conftest import ROOT
from repository.import_closure import direct_imports, import_closure
from repository.stage_code import CHOSEN, KINDS, LIKELIHOODS, stage_code, with_deps
from ruamel.yaml import YAML

from vaeline.params.base import flatten
from vaeline.topics import TOPICS

STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
ORDER = ["fetch", "prepare", "validate", "classify", "train", "evaluate", "plot", "register"]
WITHOUT_TENSORFLOW = ["fetch", "prepare", "validate", "register"]
needs_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a downloaded copy has no list of tracked files")
PAGES = [Path("README.md"), *sorted(Path("docs").glob("*.md"))]
FOLDERS = ("src", "pipeline", "tests", "benchmarks", "docs", "presets", "scripts", "data/profiles")


@pytest.fixture(autouse=True)
def _in_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True)
    return [Path(name) for name in listed.stdout.split("\0") if name and Path(name).is_file()]


def test_the_stages_stand_in_their_order():
    assert list(STAGES) == ORDER


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_depends_on_exactly_the_code_that_it_imports(stage):
    declared = {dep for dep in STAGES[stage]["deps"] if dep.startswith("src/")}
    code = stage_code(stage)
    assert declared - code == set(), "these deps rerun the stage for nothing; `make deps` writes them anew"
    assert code - declared == set(), "the stage would not run again when these change; `make deps` writes them"
    assert f"pipeline/{stage}.py" in STAGES[stage]["deps"]


def test_a_kind_imports_no_other_kind_so_that_a_stage_needs_the_code_of_its_own_alone():
    for folder in (folder for folder in KINDS.iterdir() if (folder / "model.py").is_file()):
        reached = {file for file in import_closure(*folder.glob("*.py")) if file.is_relative_to(KINDS)}
        assert all(file.parent in (folder, KINDS) for file in reached), folder


def test_a_likelihood_imports_no_other_likelihood():
    for file in LIKELIHOODS.glob("*.py"):
        reached = {other for other in import_closure(file) if other.is_relative_to(LIKELIHOODS)}
        assert reached <= {LIKELIHOODS / "__init__.py"}, file


def test_no_imports_run_in_a_circle_even_for_annotations():
    modules = {file for file in Path("src").rglob("*.py") if file.name != "__init__.py"}
    needs = {file: direct_imports(file, with_typing=True) & modules for file in modules}
    while free := {file for file, needed in needs.items() if not needed & needs.keys()}:
        needs = {file: needed for file, needed in needs.items() if file not in free}
    assert not needs, "each of these files reaches itself, or imports one that does"


def test_deps_are_written_anew_and_all_else_stays():
    text = Path("dvc.yaml").read_text()
    assert with_deps(text, {}) == text
    assert with_deps(text, {stage: stage_code(stage) for stage in ORDER}) == text
    changed = with_deps(text, {"train": {"src/new.py", *CHOSEN}})
    assert YAML(typ="safe").load(changed)["stages"] == STAGES | {
        "train": STAGES["train"]
        | {"deps": ["data/prepared", "pipeline/train.py", "reports/validation.json", "src/new.py", *sorted(CHOSEN)]}
    }


def test_the_closure_sees_a_new_import(tmp_path):
    script = tmp_path / "stage.py"
    script.write_text("def late():\n    from vaeline.evaluation import summary\n")
    assert Path("src/vaeline/evaluation/summary.py") in import_closure(script)
    script.write_text("if TYPE_CHECKING:\n    from vaeline.evaluation import summary\n")
    assert import_closure(script) == set()


def params_read(script: Path) -> set[str]:
    """The parameters that a stage script reads: keys of what it reads by `read_section`, or that section as a whole."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    sections = {
        node.targets[0].id: node.value.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("read_section(")
    }
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_name(node.value, sections)]
    keys = {f"{sections[node.value.id]}.{node.attr}".replace("data.name", "data.dataset") for node in attributes}
    owners = {id(node.value) for node in attributes}
    whole = {sections[node.id] for node in ast.walk(tree) if is_name(node, sections) and id(node) not in owners}
    return keys | whole


def is_name(node: ast.AST, names: Collection[str]) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_declares_the_params_that_it_reads(stage):
    read, declared = params_read(Path(f"pipeline/{stage}.py")), set(STAGES[stage].get("params", []))
    assert {key for key in read if not any(f"{key}.".startswith(f"{name}.") for name in declared)} == set()
    assert {name for name in declared if not any(f"{key}.".startswith(f"{name}.") for key in read)} == set()


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_script_is_short_and_runs_the_snapshots_code(stage):
    command = STAGES[stage]["cmd"]
    assert command.startswith("PYTHONPATH=src ")
    assert command.endswith(f"python pipeline/{stage}.py")
    assert 20 <= len(Path(f"pipeline/{stage}.py").read_text().splitlines()) <= 150


@pytest.mark.parametrize("stage", WITHOUT_TENSORFLOW)
@pytest.mark.usefixtures("processes")
def test_a_stage_that_needs_no_tensorflow_does_not_import_it(stage):
    check = f"import runpy, sys; runpy.run_path('pipeline/{stage}.py'); assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], env={"PYTHONPATH": "src", "PATH": ""}, check=True)


@pytest.mark.parametrize("module", ["vaeline", "vaeline.cli", "vaeline.params.whole", "vaeline.validation.checkpoint"])
@pytest.mark.usefixtures("processes")
def test_importing_is_light(module):
    heavy = "{'tensorflow', 'keras', 'mlflow', 'great_expectations'} & set(sys.modules)"
    check = f"import sys, {module}; found = {heavy}; assert not found, found"
    subprocess.run([sys.executable, "-c", check], env={"PYTHONPATH": "src", "PATH": ""}, check=True)


def without_typing(file: Path) -> str:
    """The text of a module without what it imports for annotations alone."""
    return re.sub(r"^if TYPE_CHECKING:\n(?:    .*\n|\n)+", "", file.read_text(), flags=re.MULTILINE)


def test_imports_run_downwards_only():
    layers = [
        "redaction",
        "process_start",
        "errors",
        "processes",
        "artifacts",
        "own_files",
        "images",
        "kinds",
        "archive",
        "cluster",
        "scores",
        "outputs",
        "reports",
        "topics",
        "params",
        "compute",
        "stages",
        "data",
        "models",
        "training",
        "classifier",
        "evaluation",
        "figures",
        "pages",
        "likelihood",
        "anomaly",
        "latents",
        "codes",
        "samples",
        "restoration",
        "compression",
        "conditional",
        "defects",
        "export",
        "groups",
        "plots",
        "validation",
        "tracking",
        "dvc_files",
        "ingestion",
        "pyfunc",
        "registry",
        "serving",
        "gate",
        "provenance",
        "monitoring",
        "thresholds",
        "scoring",
        "sweeps",
        "closing_table",
        "server",
        "changes",
        "dvc_repro",
        "retraining",
        "cli",
    ]
    layers[layers.index("groups") : layers.index("groups")] = [topic for topic in TOPICS if topic not in layers]
    rank = {name: index for index, name in enumerate(layers)}
    for file in Path("src/vaeline").rglob("*.py"):
        own = file.relative_to("src/vaeline").parts[0].removesuffix(".py")
        for name in re.findall(r"(?:from|import) vaeline\.(\w+)", without_typing(file)):
            assert own == name or rank[name] <= rank[own], f"{file} imports {name}"


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        (
            "mlflow",
            {
                "tracking",
                "pyfunc",
                "registry",
                "provenance",
                "serving",
                "closing_table",
                "gate",
                "monitoring",
                "sweeps",
            },
        ),
        ("jax", {"compute", "training"}),
        ("ray", {"cluster", "scoring", "sweeps", "training"}),
        ("optuna", {"sweeps"}),
        ("great_expectations", {"validation"}),
        ("onnx", {"export"}),
        ("tensorflow", {"compute"}),
        ("pickle", set()),
    ],
)
def test_a_library_stays_where_it_belongs(package, allowed):
    for file in Path("src/vaeline").rglob("*.py"):
        own = file.relative_to("src/vaeline").parts[0].removesuffix(".py")
        if re.search(rf"^\s*(?:from|import) {package}\b", without_typing(file), re.MULTILINE):
            assert own in allowed, file


@needs_git
@pytest.mark.usefixtures("processes")
def test_what_must_not_be_committed_is_not():
    for file in tracked_files():
        assert not re.search(r"(^|/)(mlruns|\.venv|__pycache__)/|\.(db|pkl|env)$|idx[13]-ubyte", file.as_posix()), file
        assert file.stat().st_size < 1_500_000, file


@needs_git
@pytest.mark.usefixtures("processes")
def test_no_file_names_a_package_index_or_a_path_of_some_machine():
    words = "|".join(["py" + r"pi\.org", "python" + r"hosted\.org", "extra-index" + "-url", "--find" + "-links"])
    machine = re.compile(r"(?<![\w.])/(?:work|root|home)/[a-z]")
    for file in tracked_files():
        if file.suffix in {".png", ".parquet"}:
            continue
        text = file.read_text(encoding="utf-8")
        assert not re.search(words, text), file
        assert not machine.search(text), file


def test_every_locked_package_has_hashes_and_every_dependency_is_locked():
    pins = locked("requirements.lock")
    wanted = re.findall(r'^  "([a-z-]+)>=', Path("pyproject.toml").read_text(), re.MULTILINE)
    assert set(wanted) <= {name for name, _ in pins | locked("scale.lock") | locked("spark.lock")}
    assert [name for name, _ in locked("build.lock")] == ["setuptools"]


def test_jax_is_added_to_the_locked_environment_without_changing_it():
    pins, more = locked("requirements.lock"), locked("jax.lock")
    assert {name for name, _ in more - pins} == {"jax", "jaxlib"}
    assert not {"jax", "jaxlib"} & {name for name, _ in pins}


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("gpu.lock", {"jax", "jax-cuda12-plugin", "nvidia-cudnn-cu12"}),
        ("scale.lock", {"boto3", "dvc-ssh", "jax", "optuna", "ray", "s3fs"}),
    ],
)
def test_the_packages_for_many_machines_and_for_a_gpu_do_not_change_the_locked_environment(lock, wanted):
    pins, more, jax = locked("requirements.lock"), locked(lock), locked("jax.lock")
    names = {name for name, _ in pins}
    assert wanted <= {name for name, _ in more} - names
    assert {pin for pin in more if pin[0] in names} <= pins
    assert {pin for pin in jax if pin[0] in ("jax", "jaxlib")} <= more


def test_spark_is_added_to_the_locked_environment_alone():
    pins, more = locked("requirements.lock"), locked("spark.lock")
    assert {name for name, _ in more - pins} == {"py4j", "pyspark"}
    assert "pyspark" not in {name for name, _ in locked("scale.lock")}


def locked(file: str) -> set[tuple[str, str]]:
    """Packages of a lock with their versions; each has hashes."""
    lock = Path(file).read_text(encoding="utf-8")
    pins = re.findall(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", lock, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[a-z0-9].*\\\n    --hash=sha256:", lock, re.MULTILINE))
    return set(pins)


def test_the_committed_lock_is_that_of_the_default_run_on_mnist():
    lock = YAML(typ="safe").load(Path("dvc.lock").read_text())["stages"]
    assert list(lock) == ORDER
    assert lock["fetch"]["params"]["params.yaml"]["data.dataset"] == "mnist"
    parameters = YAML(typ="safe").load(Path("params.yaml").read_text())
    assert lock["train"]["params"]["params.yaml"] == {key: parameters[key] for key in ("compute", "model", "train")}


@pytest.mark.parametrize(("page", "least"), [("docs/evaluation.md", 31), ("README.md", 2)])
def test_a_page_shows_the_committed_metrics(page, least):
    metrics = flatten(json.loads(Path("reports/metrics.json").read_text()))
    rows = re.findall(r"^\| `([a-z_]+/[\w.]+)` \| ([\d.]+)(?: ± ([\d.]+))? \|", Path(page).read_text(), re.MULTILINE)
    assert len(rows) >= least
    for name, value, error in rows:
        key = name.replace("/", ".")
        for shown, exact in ((value, metrics[key]), (error, metrics.get(f"{key}_se"))):
            decimals = len(shown.partition(".")[2])
            assert not shown or f"{exact:.{decimals}f}" == shown, name
    assert metrics["samples.classifier_accuracy"] >= 0.993


@pytest.mark.parametrize(
    ("page", "benchmark"),
    [
        ("docs/models.md", "benchmarks/quality/table.md"),
        ("docs/monitoring.md", "benchmarks/drift/table.md"),
        ("docs/retraining.md", "benchmarks/half_year/table.md"),
        ("docs/evaluation.md", "benchmarks/nll.md"),
        ("docs/evaluation.md", "benchmarks/one_class.md"),
        ("docs/models.md", "benchmarks/rate_distortion.md"),
    ],
)
def test_a_page_quotes_the_tables_that_the_benchmark_wrote(page, benchmark):
    tables = re.findall(r"(?:^\|.*\n)+", Path(benchmark).read_text(), flags=re.MULTILINE)
    missing = [table for table in tables if table not in Path(page).read_text()]
    assert tables
    assert not missing, f"{page} and {benchmark} differ"


def test_the_readme_is_short_and_shows_commands_and_a_picture_first():
    lines = Path("README.md").read_text().splitlines()
    assert len(lines) <= 200
    first_screen = "\n".join(lines[:20])
    assert "make run" in first_screen
    assert "make test" in first_screen
    assert "docs/pictures/manifold.png" in first_screen


def test_the_readmes_layout_names_every_package():
    layout = Path("README.md").read_text().split("## Layout")[1]
    packages = {file.parent.name for file in Path("src/vaeline").glob("*/__init__.py")}
    assert {name for name in packages if f"`src/vaeline/{name}/`" not in layout and f"`{name}/`" not in layout} == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_what_a_page_points_to_is_there(page):
    links = re.findall(r"""(?:\]\(|src=")((?!\w+:)[^)"#]*)(#[^)"]*)?""", page.read_text())
    for file, anchor in links:
        target = page.parent / file if file else page
        assert target.exists(), file
        assert not anchor or anchor[1:] in anchors(target), f"{file}{anchor}"


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *Path("data").glob("*/README.md")], ids=str)
def test_a_path_that_a_page_names_is_in_the_repository(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    names = set(re.findall(rf"(?<![\w/`.-])`((?:{'|'.join(FOLDERS)})/[\w./-]*)`", text))
    assert {name for name in names if not Path(name).exists()} == set()
