"""The gate's decision about a candidate: facts, then scores, then checks."""

from collections.abc import Sequence
from dataclasses import dataclass

from vaeline.gate.checks import Check, model_checks, service_checks
from vaeline.gate.contest import Contest
from vaeline.gate.facts import ContestFacts, gather_facts
from vaeline.gate.scores import ContestScores, take_scores
from vaeline.gate.statistics import FAIL, overall
from vaeline.gate.trial import serve_and_ask


@dataclass(frozen=True)
class Decision:
    """A contest with its facts, scores and checks; the verdict follows from the checks alone."""

    contest: Contest
    facts: ContestFacts
    scores: ContestScores
    checks: Sequence[Check]

    @property
    def verdict(self) -> str:
        """pass, inconclusive or fail."""
        return overall(check.verdict for check in self.checks)


def decide(contest: Contest) -> Decision:
    """Decide whether the first candidate may replace the champion.

    The service is tried only if no check has failed, because this takes longest.

    Raises:
        VaelineError: a threshold is not set, or data or a model is missing or does not fit the rest.
    """
    gate = contest.gate
    facts = gather_facts(contest)
    scores = take_scores(facts, contest)
    checks = model_checks(contest, facts, scores)
    failed = overall(check.verdict for check in checks) == FAIL
    trial = None if failed or facts.golden is None else serve_and_ask(contest.candidates[0].uri, facts.golden)
    return Decision(contest, facts, scores, [*checks, *service_checks(facts, trial, failed, gate)])
