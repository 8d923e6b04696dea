"""What happens in each week of the half year, and what must follow."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vaeline.monitoring.report import QUIET, TRIGGERED, VIOLATED
from vaeline.retraining.report import NOT_DUE
from vaeline.retraining.work import CANDIDATE, PROMOTED, UNCHANGED

WEEKS = 26
WINDOW_ROWS = 500
CALM = (QUIET, VIOLATED)
SEEN = (VIOLATED, TRIGGERED)
ALARM = (TRIGGERED,)
DELIVERY, SHIPMENT = "delivery", "shipment"


@dataclass(frozen=True)
class SimulatedBatch:
    """Labelled images that arrive in `data/incoming`, as `vaeline simulate` draws them."""

    name: str
    kind: str
    rows: int
    offset: int


@dataclass(frozen=True)
class Week:
    """A window of served images of a kind, what else happens, and the results that must follow.

    changes: parameters that are committed before the night; None undoes the last such commit.
    rolled_back: the reason for a rollback; empty if there is none.
    monitor: the accepted verdicts; one clean window may be violated by chance, and must not trigger.
    retrain: the expected outcome; "" means the one that follows from the monitor's verdict.
    """

    told: str = ""
    kind: str = "clean"
    batch: SimulatedBatch | None = None
    changes: Mapping[str, object] | None = field(default_factory=dict)
    rolled_back: str = ""
    monitor: tuple[str, ...] = CALM
    retrain: str = ""

    def answer(self, word: str) -> str:
        """The outcome that retraining must have after this verdict of the monitor."""
        return self.retrain or (UNCHANGED if word == TRIGGERED else NOT_DUE)


AHEAD = WEEKS * WINDOW_ROWS
EVENTS: Mapping[int, Week] = {
    5: Week(
        "15,000 new labelled digits are delivered",
        batch=SimulatedBatch(DELIVERY, "clean", 15_000, AHEAD),
        retrain=PROMOTED,
    ),
    9: Week("the scanner stands askew: turned by 20°", kind="rotated", monitor=SEEN),
    10: Week("still askew", kind="rotated", monitor=ALARM),
    11: Week("still askew", kind="rotated", monitor=ALARM),
    12: Week("the scanner is repaired", monitor=ALARM),
    15: Week(
        "a poisoned shipment: wrong labels, and pictures of other things",
        batch=SimulatedBatch(SHIPMENT, "poisoned", 600, AHEAD + 15_000),
    ),
    18: Week("a customer sends some digits more often", kind="class_mix", monitor=SEEN),
    19: Week("the same customer", kind="class_mix", monitor=ALARM),
    20: Week("the same customer", kind="class_mix", monitor=ALARM),
    21: Week("the customer is gone", monitor=ALARM),
    23: Week("somebody saves time: 2 epochs", changes={"train.epochs": 2}, retrain=CANDIDATE),
    24: Week("the epochs are set back", changes=None),
    25: Week("complaints about the new model", rolled_back="sevens look like ones", retrain=CANDIDATE),
}


def week_of(number: int) -> Week:
    """The plan for a week, 1 to 26. Most weeks have a clean window and no event."""
    return EVENTS.get(number, Week())
