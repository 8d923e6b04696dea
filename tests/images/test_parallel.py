from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from vaeline.errors import VaelineError
from vaeline.images import parallel
from vaeline.images.parallel import read_all


class KilledPool:
    """A pool whose process is killed at its second task."""

    def __init__(self, *_):
        self.tasks = 0

    def submit(self, task, *arguments):
        future, self.tasks = Future(), self.tasks + 1
        if self.tasks < 2:
            future.set_result(task(*arguments))
        else:
            future.set_exception(BrokenProcessPool("A process in the process pool was terminated abruptly"))
        return future


def test_a_killed_process_ends_in_one_sentence_after_what_was_read(monkeypatch):
    monkeypatch.setattr(parallel, "get_reusable_executor", KilledPool)
    monkeypatch.setattr(parallel, "FEWEST", 4)
    monkeypatch.setattr(parallel, "CHUNK", 2)
    found = read_all(str, [Path(f"{row}.png") for row in range(4)], "pictures")
    assert [next(found), next(found)] == ["0.png", "1.png"]
    with pytest.raises(VaelineError, match=r"has ended, perhaps for lack of memory.* goes on where it stopped"):
        next(found)
