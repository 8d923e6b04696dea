from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from retraining.test_inputs import THEN

from vaeline.retraining.due import Champion, DueFacts, judge
from vaeline.retraining.record import Retraining

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CHAMPION = Champion("3", "d" * 64, NOW - 5 * DAY, THEN)
FRESH = DueFacts(THEN, CHAMPION, None, None, 30 * DAY, NOW)
OTHER = replace(THEN, params={"train.epochs": 30, "train.seed": 1})
TRIGGERED = {"created": (NOW - DAY).isoformat(), "triggered": True, "tests": [{"name": "kl", "violated": True}]}


def last(days_ago, inputs=THEN, champion="3", outcome="candidate", verdict="inconclusive"):
    return Retraining(NOW - days_ago * DAY, inputs.digest, champion, "7", outcome, verdict)


def kinds(seen):
    return [reason.kind for reason in judge(seen).reasons]


def test_nothing_is_due_and_every_reason_says_why_not():
    due = judge(FRESH)
    assert not due
    assert due.otherwise == [
        "data, code, parameters and dependencies are those of the champion's training",
        "no window was compared with what the champion knows",
        "champion 3 was trained 5.0 days ago, of 30 that it may be old",
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"champion": None}, ["champion"]),
        ({"champion": replace(CHAMPION, inputs=None)}, ["unknown"]),
        ({"inputs": OTHER}, ["params"]),
        ({"drift": TRIGGERED}, ["drift"]),
        ({"drift": TRIGGERED | {"triggered": False}}, []),
        ({"max_age": 4 * DAY}, ["age"]),
        ({"max_age": 4 * DAY, "inputs": OTHER, "drift": TRIGGERED}, ["params", "drift", "age"]),
    ],
)
def test_what_makes_a_retraining_due(change, expected):
    seen = replace(FRESH, **change)
    assert kinds(seen) == expected
    assert bool(judge(seen)) == bool(expected)


def test_a_missed_schedule_is_made_up_for_by_whoever_asks_next():
    seen = replace(FRESH, inputs=OTHER)
    for days_later in (0, 3, 20):
        assert kinds(replace(seen, now=NOW + days_later * DAY)) == ["params"]


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (last(1, OTHER), []),
        (last(1, OTHER, champion="2"), ["params"]),
        (last(1, THEN), ["params"]),
        (None, ["params"]),
    ],
)
def test_inputs_that_were_made_into_a_candidate_against_this_champion_wait_for_a_person(before, expected):
    seen = replace(FRESH, inputs=OTHER, last=before)
    assert kinds(seen) == expected
    if not expected:
        assert "made into candidate 7, which the gate found inconclusive" in judge(seen).otherwise[0]


def test_the_first_candidate_is_made_once():
    seen = replace(FRESH, champion=None)
    assert kinds(seen) == ["champion"]
    assert kinds(replace(seen, last=last(1, champion=""))) == []
    assert kinds(replace(seen, last=last(1, OTHER, champion=""))) == ["champion"]


def test_drift_is_answered_by_a_retraining_after_it_and_by_none_before():
    seen = replace(FRESH, drift=TRIGGERED)
    assert kinds(replace(seen, last=last(2))) == ["drift"]
    assert kinds(replace(seen, last=last(0.5))) == []
    assert "kl" in judge(seen).reasons[0].sentence


def test_age_counts_from_the_last_retraining_that_confirmed_the_champion():
    old = replace(FRESH, champion=replace(CHAMPION, trained=NOW - 40 * DAY))
    assert kinds(old) == ["age"]
    assert kinds(replace(old, last=last(29))) == []
    assert kinds(replace(old, last=last(31))) == ["age"]
