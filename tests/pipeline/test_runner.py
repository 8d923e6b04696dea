"""The runner itself: what it takes for GitHub's, it must do as GitHub does."""

import subprocess
from pathlib import Path

import pytest
from pipeline.expressions import condition, evaluate, interpolate
from pipeline.runner import Runner, pairs, status, typed

CONTEXTS = {
    "inputs": {"force": True, "name": "it's"},
    "needs": {"compute": {"outputs": {"changed": "true"}, "result": "success"}},
    "vars": {},
}
WORKFLOW = """
name: Try
on: {workflow_dispatch: {inputs: {word: {type: string, required: true}, dry: {type: boolean, default: false}}}}
env: {LEVEL: workflow, KEPT: from the workflow}
jobs:
  first:
    env: {LEVEL: job}
    outputs: {told: '${{ steps.tell.outputs.told }}', lines: '${{ steps.tell.outputs.lines }}'}
    steps:
      - id: tell
        env: {LEVEL: step, WORD: '${{ inputs.word }}'}
        run: |
          printf '%s\\n' "$LEVEL $KEPT $GITHUB_REPOSITORY $WORD"
          echo "told=$WORD" >>"$GITHUB_OUTPUT"
          printf 'lines<<END\\none\\ntwo\\nEND\\n' >>"$GITHUB_OUTPUT"
          echo "LATER=set" >>"$GITHUB_ENV"
          echo "# Summary" >>"$GITHUB_STEP_SUMMARY"
      - run: echo "later is $LATER"
      - if: inputs.dry
        run: echo never
  second:
    needs: first
    if: needs.first.outputs.told == 'hello'
    steps:
      - id: bad
        run: |
          false
          echo not reached
      - run: echo skipped
      - if: ${{ failure() && steps.bad.conclusion == 'failure' }}
        run: echo told
      - if: ${{ !cancelled() }}
        run: echo swept
  third: {needs: second, steps: [{run: echo never}]}
  fourth:
    needs: [second, third]
    if: ${{ !cancelled() }}
    steps: [{run: 'echo "$FROM"', env: {FROM: '${{ needs.second.result }}'}}]
"""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("inputs.force", True),
        ("!inputs.force", False),
        ("inputs.name == 'IT''S'", True),
        ("vars.MISSING == ''", True),
        ("vars.MISSING != ''", False),
        ("needs.compute.outputs.changed == 'true' && !inputs.force", False),
        ("needs['compute'].result == 'success' || false", True),
        ("contains('abc', 'B') && startsWith('abc', 'a')", True),
        ("inputs.force == 1", True),
        ("'9e-05' < '0.82'", False),
        ("(1 == 2 || 2 == 2) && null == ''", True),
        ("format('{0}-{1}', 'a', 3)", "a-3"),
        ("inputs.missing || 'default'", "default"),
    ],
)
def test_expressions(source, expected):
    assert evaluate(source, CONTEXTS) == expected


@pytest.mark.parametrize("source", ["inputs.", "nothing.here", "1 ==", "(1", "hash('a')", "a b", "'open"])
def test_what_is_no_expression_is_refused(source):
    with pytest.raises((ValueError, IndexError)):
        evaluate(source, {**CONTEXTS, "a": 1})


def test_conditions_and_strings():
    assert interpolate("a ${{ inputs.force }} b ${{ vars.MISSING }}c", CONTEXTS) == "a true b c"
    assert condition("", CONTEXTS, status(True))
    assert not condition("", CONTEXTS, status(False))
    assert not condition("inputs.force", CONTEXTS, status(False)), "success() is understood"
    assert condition("${{ failure() }}", CONTEXTS, status(False))
    assert pairs("a=1=2\nb<<X\n1\n2\nX\nc=") == {"a": "1=2", "b": "1\n2", "c": ""}


def test_inputs_are_checked_as_github_checks_them():
    declared = {"a": {"type": "string", "required": True}, "b": {"type": "boolean", "default": True}}
    assert typed(declared, {"a": "x"}) == {"a": "x", "b": True}
    for wrong in ({}, {"a": 1}, {"a": "x", "b": "true"}, {"a": "x", "c": "y"}):
        with pytest.raises(AssertionError):
            typed(declared, wrong)


@pytest.fixture
def runner(tmp_path) -> Runner:
    source = tmp_path / "source"
    (source / ".github/workflows").mkdir(parents=True)
    (source / ".github/workflows/try.yml").write_text(WORKFLOW)
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Start"]):
        subprocess.run(["git", *who, *command], cwd=source, check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(source), str(tmp_path / "origin.git")], check=True)
    return Runner(tmp_path / "origin.git", tmp_path, {"PATH": "/usr/bin:/bin"})


def test_a_workflow_runs_as_on_github(runner):
    jobs = runner.run("try", "workflow_dispatch", {"word": "hello"})
    first = jobs["first"]
    assert first.outputs == {"told": "hello", "lines": "one\ntwo"}
    assert "step from the workflow octocat/vaeline hello" in first.log
    assert "later is set" in first.log
    assert "never" not in first.log
    assert first.summary == "# Summary\n"
    assert jobs["second"].result == "failure"
    for word, there in (("not reached\n$", False), ("\nskipped\n", False), ("\ntold\n", True), ("\nswept\n", True)):
        assert (word in jobs["second"].log) == there, word
    assert (jobs["third"].result, jobs["fourth"].result) == ("skipped", "success")
    assert "\nfailure\n" in jobs["fourth"].log


def test_a_condition_on_an_output_skips_a_job_and_hostile_words_stay_words(runner):
    jobs = runner.run("try", "workflow_dispatch", {"word": "$(touch pwned); `touch pwned`"})
    assert jobs["second"].result == "skipped"
    assert jobs["first"].outputs["told"] == "$(touch pwned); `touch pwned`"
    assert not list(Path(runner.folder).rglob("pwned"))
