"""Runs a workflow of GitHub Actions on this machine: the `run:` steps for real, the actions as stubs.

Each job gets a folder of its own, as on GitHub each gets a machine. What steps write into the files that `GITHUB_ENV`,
`GITHUB_OUTPUT`, `GITHUB_PATH` and `GITHUB_STEP_SUMMARY` name is read as GitHub reads it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forking.programs import forked_programs
from pipeline.expressions import FUNCTIONS, condition, interpolate
from ruamel.yaml import YAML

SHELLS = {None: ["bash", "-e"], "bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"]}
FILES = ("ENV", "OUTPUT", "PATH", "STEP_SUMMARY")
PATIENCE = 600  # seconds a step


@dataclass
class Job:
    """What became of a job: success, failure or skipped; its outputs, and what it printed and summed up."""

    result: str
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""
    summary: str = ""
    workspace: Path | None = None


@dataclass
class Runner:
    """A stand-in for github.com with one repository: a bare clone, its variables and secrets, artifacts and PRs."""

    origin: Path
    folder: Path
    environment: Mapping[str, str]
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    artifacts: dict[str, Path] = field(default_factory=dict)
    pulls: list[dict[str, str]] = field(default_factory=list)
    runs: int = 0

    def run(self, workflow: str, event: str = "schedule", inputs: Mapping[str, Any] | None = None) -> dict[str, Job]:
        """Run a workflow of the branch main on an event, and return its jobs by id."""
        self.runs += 1
        self.artifacts.clear()
        sha = self.git("rev-parse", "main", cwd=self.origin)
        source = self.git("show", f"{sha}:.github/workflows/{workflow}.yml", cwd=self.origin)
        content = YAML(typ="safe").load(source)
        declared = (content["on"][event] or {}).get("inputs", {}) if event == "workflow_dispatch" else {}
        assert event in content["on"], f"{workflow}.yml does not start on {event}"
        github = {
            "actor": "octocat",
            "event": {"repository": {"default_branch": "main"}},
            "event_name": event,
            "ref": "refs/heads/main",
            "ref_name": "main",
            "repository": "octocat/vaeline",
            "run_attempt": "1",
            "run_id": str(self.runs),
            "server_url": "https://github.com",
            "sha": sha,
            "token": "t0ken",
            "workflow": content["name"],
        }
        contexts = {
            "github": github,
            "inputs": typed(declared, inputs or {}),
            "vars": self.variables,
            "secrets": self.secrets,
            "runner": {"os": "Linux", "temp": str(self.folder / "temp")},
        }
        contexts["env"] = {name: interpolate(value, contexts) for name, value in content.get("env", {}).items()}
        done: dict[str, Job] = {}
        while waiting := [name for name in content["jobs"] if name not in done]:
            ready = [name for name in waiting if needs_of(content["jobs"][name]) <= done.keys()]
            for name in ready:
                done[name] = self._job(name, content["jobs"][name], contexts, done)
        return done

    def git(self, *arguments: str, cwd: Path) -> str:
        """Output of a git command."""
        identity = ("-c", "user.name=github-actions[bot]", "-c", "user.email=bot@example.org")
        done = subprocess.run(["git", *identity, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _job(self, name: str, job: Mapping[str, Any], contexts: Mapping[str, Any], done: Mapping[str, Job]) -> Job:
        needed = {need: done[need] for need in needs_of(job)}
        about = {need: {"result": other.result, "outputs": other.outputs} for need, other in needed.items()}
        here = dict(contexts) | {"needs": about, "steps": {}, "job": {"status": "success"}}
        well = all(other.result == "success" for other in needed.values())
        if not condition(job.get("if", ""), here, status(well)):
            return Job("skipped")
        workspace = self.folder / f"run-{self.runs}" / name
        workspace.mkdir(parents=True)
        here["env"] = contexts["env"] | {key: interpolate(value, here) for key, value in job.get("env", {}).items()}
        result, path = Job("success", workspace=workspace), ""
        for number, step in enumerate(job["steps"]):
            ran = condition(step.get("if", ""), here, status(result.result == "success"))
            outputs: dict[str, str] = {}
            if ran:
                try:
                    if "uses" in step:
                        values = {key: interpolate(value, here) for key, value in step.get("with", {}).items()}
                        outputs = ACTIONS[step["uses"].partition("@")[0]](self, workspace, values, here)
                    else:
                        outputs, path = self._step(step, workspace, here, result, path)
                except (AssertionError, subprocess.TimeoutExpired) as error:
                    result.result, result.log = "failure", f"{result.log}{error}\n"
            key = step.get("id", f"step-{number}")
            conclusion = ("failure" if result.result == "failure" else "success") if ran else "skipped"
            here["steps"][key] = {"outputs": outputs, "conclusion": conclusion, "outcome": conclusion}
        result.outputs = {key: interpolate(value, here) for key, value in job.get("outputs", {}).items()}
        return result

    def _step(
        self, step: Mapping[str, Any], workspace: Path, here: dict[str, Any], job: Job, path: str
    ) -> tuple[dict[str, str], str]:
        """Run the shell of a step; its outputs, and the PATH of the steps to come."""
        assert "${{" not in step["run"], "no expression reaches a shell"
        scratch = self.folder / "temp"
        scratch.mkdir(exist_ok=True)
        files = {f"GITHUB_{name}": scratch / name.lower() for name in FILES}
        for file in files.values():
            file.write_text("", encoding="utf-8")
        (scratch / "step.sh").write_text(step["run"], encoding="utf-8")
        told = {f"GITHUB_{key.upper()}": value for key, value in here["github"].items() if isinstance(value, str)}
        del told["GITHUB_TOKEN"]
        environment = {
            **self.environment,
            **told,
            **here["env"],
            **{key: interpolate(value, here) for key, value in step.get("env", {}).items()},
            **{name: str(file) for name, file in files.items()},
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(workspace),
            "RUNNER_TEMP": str(scratch),
        }
        environment["PATH"] = f"{path}{environment['PATH']}"
        done = subprocess.run(
            [*SHELLS[step.get("shell")], str(scratch / "step.sh")],
            cwd=workspace / step.get("working-directory", "."),
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
        )
        job.log += f"$ {step['run']}\n{done.stdout}"
        job.summary += files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
        here["env"] = here["env"] | pairs(files["GITHUB_ENV"].read_text(encoding="utf-8"))
        added = files["GITHUB_PATH"].read_text(encoding="utf-8").splitlines()
        assert done.returncode == 0, f"exit status {done.returncode} of {step['run']}"
        return pairs(files["GITHUB_OUTPUT"].read_text(encoding="utf-8")), "".join(f"{line}:" for line in added) + path


def needs_of(job: Mapping[str, Any]) -> set[str]:
    """The jobs that a job waits for."""
    needs = job.get("needs", [])
    return {needs} if isinstance(needs, str) else set(needs)


def status(well: bool) -> dict[str, Callable[..., Any]]:
    """The functions that an `if:` may call, where all went well so far or did not."""
    told = {"success": lambda: well, "failure": lambda: not well, "always": lambda: True, "cancelled": lambda: False}
    return {**FUNCTIONS, **told}


def typed(declared: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of a dispatch, checked as GitHub checks them, with defaults."""
    assert given.keys() <= declared.keys(), f"no such input: {given.keys() - declared.keys()}"
    found = {}
    for name, about in declared.items():
        value = given.get(name, about.get("default", False if about["type"] == "boolean" else ""))
        assert name in given or not about.get("required") or "default" in about, f"the input {name} is required"
        assert isinstance(value, bool if about["type"] == "boolean" else str), f"{name} is a {about['type']}"
        assert about["type"] != "choice" or value in about["options"], f"{name} is one of {about['options']}"
        found[name] = value
    return found


def pairs(content: str) -> dict[str, str]:
    """The entries of a file of `name=value` lines, and of `name<<END` blocks."""
    found, lines = {}, iter(content.splitlines())
    for line in lines:
        name, separator, value = line.partition("=")
        if "<<" in name or not separator:
            name, _, end = line.partition("<<")
            value = "\n".join(iter(lambda: next(lines), end))
        found[name] = value
    return found


def checkout(runner: Runner, workspace: Path, values: Mapping[str, str], here: Mapping[str, Any]) -> dict[str, str]:
    """Clone the repository at the commit of the event, and keep no credentials."""
    assert values["persist-credentials"] == "false"
    runner.git("clone", "--quiet", str(runner.origin), str(workspace), cwd=runner.folder)
    runner.git("checkout", "--quiet", values.get("ref") or here["github"]["sha"], cwd=workspace)
    return {}


def setup_python(runner: Runner, workspace: Path, values: Mapping[str, str], here: Mapping[str, Any]) -> dict[str, str]:
    """Lend this test's environment, in the place of the one that `make` would install from the locks."""
    (workspace / ".venv").mkdir()
    (workspace / ".venv/bin").symlink_to(forked_programs())
    for part in ("include", "lib", "lib64", "pyvenv.cfg"):
        if (Path(sys.prefix) / part).exists():
            (workspace / ".venv" / part).symlink_to(Path(sys.prefix) / part)
    (workspace / ".venv/.locked").touch()
    return {}


def upload(runner: Runner, workspace: Path, values: Mapping[str, str], here: Mapping[str, Any]) -> dict[str, str]:
    """Keep files below the folder that they have in common; hidden ones are left out."""
    wanted = [path for line in values["path"].split() for path in sorted(workspace.glob(line.rstrip("/")))]
    files = {file for path in wanted for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()}
    files = {file for file in files if not any(part.startswith(".") for part in file.relative_to(workspace).parts)}
    assert files or values.get("if-no-files-found") == "ignore", f"no files for the artifact {values['name']}"
    assert values["name"] not in runner.artifacts, "an artifact is uploaded once"
    root = Path(os.path.commonpath([path if path.is_dir() else path.parent for path in wanted])) if wanted else None
    target = runner.folder / f"run-{runner.runs}" / "artifacts" / values["name"]
    for file in files:
        (target / file.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target / file.relative_to(root))
    if files:
        runner.artifacts[values["name"]] = target
    return {}


def download(runner: Runner, workspace: Path, values: Mapping[str, str], here: Mapping[str, Any]) -> dict[str, str]:
    """Put the files of an artifact of this run where they are asked for."""
    shutil.copytree(runner.artifacts[values["name"]], workspace / values.get("path", "."), dirs_exist_ok=True)
    return {}


def cache(runner: Runner, workspace: Path, values: Mapping[str, str], here: Mapping[str, Any]) -> dict[str, str]:
    """Nothing is found: what a job needs, it must be able to get without."""
    assert values["key"].startswith(values["restore-keys"])
    return {}


def pull_request(runner: Runner, workspace: Path, values: Mapping[str, str], here: Mapping[str, Any]) -> dict[str, str]:
    """Commit the named paths on the branch, push it, and open a pull request, unless nothing changed."""
    assert values["branch"] != "main"
    runner.git("checkout", "--quiet", "-B", values["branch"], cwd=workspace)
    runner.git("add", "--all", "--", *values["add-paths"].split(","), cwd=workspace)
    if not runner.git("diff", "--cached", "--name-only", cwd=workspace):
        return {}
    runner.git("commit", "--quiet", "--message", values["commit-message"], cwd=workspace)
    runner.git("push", "--quiet", "--force", "origin", values["branch"], cwd=workspace)
    body = (workspace / values["body-path"]).read_text(encoding="utf-8")
    runner.pulls.append({"branch": values["branch"], "title": values["title"], "body": body, "draft": values["draft"]})
    return {"pull-request-number": str(len(runner.pulls))}


ACTIONS = {
    "actions/cache": cache,
    "actions/checkout": checkout,
    "actions/setup-python": setup_python,
    "actions/upload-artifact": upload,
    "actions/download-artifact": download,
    "peter-evans/create-pull-request": pull_request,
}
