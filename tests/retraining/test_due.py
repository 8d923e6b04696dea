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


def kinds(facts):
    return [reason.kind for reason in judge(facts).reasons]


def test_nothing_is_due_and_every_reason_says_why_not():
    due = judge(FRESH)
    assert not due
    assert due.otherwise == [
        "data, code, parameters and dependencies are those of the champion's training",
        "`vaeline monitor` has not compared new images with the champion",
        "champion 3 was trained 5.0 days ago; retrain.max_age_days is 30",
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
    facts = replace(FRESH, **change)
    assert kinds(facts) == expected
    assert bool(judge(facts)) == bool(expected)


def test_after_a_missed_schedule_the_next_call_gives_the_same_answer():
    facts = replace(FRESH, inputs=OTHER)
    for days_later in (0, 3, 20):
        assert kinds(replace(facts, now=NOW + days_later * DAY)) == ["params"]


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
    facts = replace(FRESH, inputs=OTHER, last=before)
    assert kinds(facts) == expected
    if not expected:
        assert "candidate 7 (gate: inconclusive) was made from these inputs on" in judge(facts).otherwise[0]


def test_the_first_candidate_is_made_once():
    facts = replace(FRESH, champion=None)
    assert kinds(facts) == ["champion"]
    assert kinds(replace(facts, last=last(1, champion=""))) == []
    assert kinds(replace(facts, last=last(1, OTHER, champion=""))) == ["champion"]


def test_drift_is_answered_by_a_retraining_after_it_and_by_none_before():
    facts = replace(FRESH, drift=TRIGGERED)
    assert kinds(replace(facts, last=last(2))) == ["drift"]
    assert kinds(replace(facts, last=last(0.5))) == []
    assert "kl" in judge(facts).reasons[0].sentence


def test_age_counts_from_the_last_retraining_that_confirmed_the_champion():
    old = replace(FRESH, champion=replace(CHAMPION, trained=NOW - 40 * DAY))
    assert kinds(old) == ["age"]
    assert kinds(replace(old, last=last(29))) == []
    assert kinds(replace(old, last=last(31))) == ["age"]
