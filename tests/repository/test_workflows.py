"""Workflows are code: what GitHub would only say when they run, or never, is checked here."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from ruamel.yaml import YAML

FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
PINNED = re.compile(r"uses: (?P<action>[\w/-]+)@(?P<commit>[0-9a-f]{40})  # v\d+\.\d+\.\d+$")
EXPRESSION = re.compile(r"\$\{\{.*?\}\}", re.DOTALL)
FORBIDDEN = {"pull_request_target", "workflow_run"}
CRON = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
GIVEN_BY_GITHUB = {"GH_TOKEN"}  # read by a program, not by a recipe
ALSO_READ = {  # by vaeline, MLflow and DVC themselves
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
}
WORKFLOWS = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def load(file: Path) -> dict[str, Any]:
    """A workflow by the booleans of YAML 1.2: the key `on` is a word."""
    return YAML(typ="safe").load(file.read_text(encoding="utf-8"))


def strings(node: Any) -> Iterator[str]:
    """Every string in a workflow."""
    if isinstance(node, Mapping):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    elif isinstance(node, str):
        yield node


def needs_of(job: Mapping[str, Any]) -> list[str]:
    needs = job.get("needs", [])
    return [needs] if isinstance(needs, str) else needs


def expressions(node: Any) -> str:
    """All expressions in a part of a workflow, one after the other; an `if` is one without its braces."""
    found = [text for value in strings(node) for text in EXPRESSION.findall(value)]
    bare = [str(step["if"]) for step in (node.get("steps", []) if isinstance(node, Mapping) else []) if "if" in step]
    return "\n".join([*found, *bare, str(node.get("if", "")) if isinstance(node, Mapping) else ""])


def ancestors(jobs: Mapping[str, Any], name: str) -> set[str]:
    return {other for need in needs_of(jobs[name]) for other in {need} | ancestors(jobs, need)}


def artifacts(steps: list[Mapping[str, Any]], way: str) -> list[str]:
    """The names of the artifacts that steps download or upload."""
    return [step["with"]["name"] for step in steps if step.get("uses", "").startswith(f"actions/{way}-artifact@")]


def cron_fault(line: str) -> str:
    """What is wrong with the five fields of a schedule; "" where nothing is."""
    fields = line.split()
    if len(fields) != 5:
        return f"{len(fields)} fields"
    for field, (low, high) in zip(fields, CRON, strict=True):
        for part in field.split(","):
            found = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?", part)
            numbers = [int(number) for number in found.groups()[:2] if number] if found else [-1]
            if any(not low <= number <= high for number in numbers) or numbers != sorted(numbers):
                return f"{part} is not within {low}-{high}"
    minute = fields[0]
    return "" if minute.isdecimal() and int(minute) % 15 else f"minute {minute}: others run then, and GitHub drops some"


@pytest.fixture(autouse=True)
def _in_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_all_workflows_are_there():
    assert {file.stem for file in FILES} >= {"ci", "retrain", "promote", "rollback", "report"}


def test_the_suite_lints_before_it_tests():
    rules = re.findall(r"^(check|test): (.*?) ##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [(target, needed.split()[0]) for target, needed in rules] == [("check", "lint"), ("test", "lint")]


@WORKFLOWS
def test_every_action_is_pinned_to_a_commit_that_a_comment_names(file):
    for line in file.read_text().splitlines():
        if "uses:" in line:
            assert PINNED.search(line) or re.search(r"uses: \./", line), line


def test_one_action_has_one_commit_in_all_workflows():
    commits: dict[str, set[str]] = {}
    for file in FILES:
        for line in file.read_text().splitlines():
            if found := PINNED.search(line):
                commits.setdefault(found["action"], set()).add(line.partition("@")[2])
    assert {action: pins for action, pins in commits.items() if len(pins) > 1} == {}


@WORKFLOWS
def test_no_right_that_is_not_asked_for_and_an_end_to_every_job(file):
    content = load(file)
    assert content["permissions"] == {}
    assert not FORBIDDEN & set(content["on"])
    for name, job in content["jobs"].items():
        assert {"name", "permissions", "timeout-minutes"} <= set(job), name
        assert isinstance(job["permissions"], Mapping), f"{name}: {job['permissions']}"
        assert 0 < job["timeout-minutes"] < 360, name
        if "secrets." in expressions(job):
            assert "environment" in job, f"{name} reads secrets that no environment guards"
        if "write" in job["permissions"].values():
            assert "secrets." not in expressions(job), f"{name} writes and knows secrets"


@WORKFLOWS
def test_a_checkout_leaves_no_credentials_behind(file):
    for job in load(file)["jobs"].values():
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


@WORKFLOWS
def test_a_step_is_one_target_of_make_and_no_expression_reaches_its_shell(file):
    for job in load(file)["jobs"].values():
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            if "run" in step:
                assert "${{" not in step["run"]
                found = re.fullmatch(r"make ([a-z-]+)", step["run"].strip())
                assert found, step["run"]
                assert found[1] in TARGETS, step["run"]


@WORKFLOWS
def test_what_a_step_is_given_its_recipe_reads_from_the_shell(file):
    recipes = Path("Makefile").read_text()
    scripts = "".join(script.read_text() for script in Path("scripts").glob("*.sh"))
    for job in load(file)["jobs"].values():
        for step in job["steps"]:
            for name in {**job.get("env", {}), **step.get("env", {})} if "run" in step else {}:
                known = f"$${name}" in recipes or f"${{{name}" in scripts or name in ALSO_READ | GIVEN_BY_GITHUB
                assert known, f"nothing reads {name}"
                assert f"$({name})" not in recipes, f"make would execute what {name} holds"


@WORKFLOWS
def test_needs_outputs_and_steps_are_defined(file):
    content = load(file)
    jobs = content["jobs"]
    declared = set((content["on"].get("workflow_dispatch") or {}).get("inputs", {}))
    said = "".join(expressions(part) for part in (content, *jobs.values()))
    assert set(re.findall(r"\binputs\.([\w-]+)", said)) == declared, "every input is read, and no other"
    for name, job in jobs.items():
        assert set(needs_of(job)) <= set(jobs), name
        assert name not in ancestors(jobs, name)
        said = expressions(job)
        for need, output in re.findall(r"\bneeds\.([\w-]+)\.outputs\.([\w-]+)", said):
            assert need in needs_of(job), f"{name} does not wait for {need}"
            assert output in jobs[need].get("outputs", {}), f"{need} has no output {output}"
        assert set(re.findall(r"\bneeds\.([\w-]+)\.", said)) <= set(needs_of(job))
        ids: list[str] = []
        for step in job["steps"]:
            used = re.findall(r"\bsteps\.([\w-]+)\.", expressions({"steps": [step]}))
            assert set(used) <= set(ids), f"{name}: steps {used} do not come before"
            ids += [step["id"]] if "id" in step else []
        assert len(ids) == len(set(ids))
        assert set(re.findall(r"\bsteps\.([\w-]+)\.", expressions(job.get("outputs", {})))) <= set(ids)


@WORKFLOWS
def test_the_inputs_of_a_dispatch_are_typed_and_described(file):
    on = load(file)["on"]
    for name, about in ((on.get("workflow_dispatch") or {}).get("inputs", {})).items():
        assert about["type"] in {"string", "boolean", "choice", "number"}, name
        assert about["description"], name
        assert "default" in about or about["type"] == "string", name


@WORKFLOWS
def test_schedules_are_valid_and_not_at_the_crowded_minutes(file):
    on = load(file)["on"]
    for entry in on.get("schedule", []):
        assert cron_fault(entry["cron"]) == ""
        assert "workflow_dispatch" in on, "what a schedule starts, a person must be able to start"


@pytest.mark.parametrize(
    "line", ["0 4 * * *", "30 4 * * *", "17 24 * * *", "17 4 0 * *", "7 4 * *", "7 4 * * 1-9", "*/7 4 * * *"]
)
def test_the_check_of_schedules_finds(line):
    assert cron_fault(line)


@WORKFLOWS
def test_paths_exist_or_are_made(file):
    made = (".dvc/cache", "reports/", "data/accepted", "data/batches", "data/quarantine", "proposal")
    for job in load(file)["jobs"].values():
        for step in job["steps"]:
            values = step.get("with", {})
            for key in ("path", "body-path"):
                for path in str(values.get(key, "")).split():
                    assert path.startswith(made) or Path(path).exists(), f"{file.name}: {path}"


def test_what_an_artifact_is_called_where_it_is_taken_it_was_called_where_it_was_made():
    for file in FILES:
        jobs = load(file)["jobs"]
        for name, job in jobs.items():
            before = [step for other in ancestors(jobs, name) for step in jobs[other]["steps"]]
            kept = {
                step["with"]["name"] for step in before if step.get("uses", "").startswith("actions/upload-artifact@")
            }
            taken = {
                s["with"]["name"] for s in job["steps"] if s.get("uses", "").startswith("actions/download-artifact@")
            }
            assert taken <= kept, name


def test_a_retraining_goes_to_a_branch_and_only_with_what_it_may_change():
    jobs = load(ROOT / ".github/workflows/retrain.yml")["jobs"]
    (proposal,) = [step for step in jobs["propose"]["steps"] if step.get("uses", "").startswith("peter-evans/")]
    taken = [step["id"] for step in jobs["propose"]["steps"] if step.get("run") == "make take-proposal"]
    assert proposal["with"]["add-paths"] == f"${{{{ steps.{taken[0]}.outputs.paths }}}}"
    allowed = (ROOT / "src/vaeline/retraining/proposed.txt").read_text().split()
    assert all(path.startswith("data/") or Path(path).is_file() for path in allowed)
    assert proposal["with"]["branch"] not in ("main", "master")
    assert jobs["compute"]["permissions"] == {"contents": "read"}
    order = [step.get("run") for step in jobs["compute"]["steps"]]
    assert order.index("make retrain") < order.index("make push") < order.index("make proposal")


def test_champions_move_one_at_a_time_from_the_default_branch_in_the_protected_environment():
    for name in ("promote", "rollback"):
        content = load(ROOT / f".github/workflows/{name}.yml")
        assert content["concurrency"] == {"group": "registry", "queue": "max"}
        assert set(content["on"]) == {"workflow_dispatch"}
        (job,) = content["jobs"].values()
        assert job["environment"] == "production"
        assert job["if"] == "github.ref_name == github.event.repository.default_branch"
        assert [step["run"] for step in job["steps"] if step.get("run", "").startswith("make plan-")]


@pytest.mark.usefixtures("processes")
def test_what_a_person_types_stays_a_word(tmp_path):
    """`make` with hostile settings: the command gets them letter by letter, and nothing else happens."""
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / "Makefile").write_text(Path("Makefile").read_text())
    for name in ("requirements.lock", "build.lock", "pyproject.toml", "scripts/bootstrap.sh", ".venv/.locked"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    command = tmp_path / ".venv/bin/vaeline"
    command.write_text("""#!/bin/sh\nfor word; do printf '%s\\n' "$word"; done >>"$SAID"\n""")
    command.chmod(0o755)
    hostile = "$(shell touch pwned)`touch pwned`\"; touch pwned; '$(touch pwned) --dry-run"
    for target, names in {"promote": ("CANDIDATE", "REPLACES", "REASON"), "rollback": ("TO", "REASON")}.items():
        said = tmp_path / f"{target}.txt"
        environment = {"PATH": "/usr/bin:/bin", "SAID": str(said), **dict.fromkeys(names, hostile)}
        done = subprocess.run(
            ["make", "--silent", target], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        words = said.read_text().splitlines()
        assert sum(hostile in word for word in words) == len(names)
        assert len(words) == len(names) + (2 if "CANDIDATE" in names else 1)
    assert not list(tmp_path.rglob("pwned"))
