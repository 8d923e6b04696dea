"""`kill -9` of a command: the same command ends as if nothing had happened, and the registry is whole."""

import random
import time

import pytest
from fault.catalogue import times, tried
from fault.commands import COMMANDS, ended, two_candidates
from fault.place import kill_all
from pipeline.service import Server
from pipeline.workspace import copy_workspace

from vaeline.tracking.sqlite import sqlite_uri

LONGEST = 40.0  # seconds after which a command is killed at the latest
SWAP = 2.0  # seconds in which a service loads another model


@pytest.mark.parametrize("name", COMMANDS)
@times(4)
def test_a_command_that_is_killed_is_ended_by_the_next_one(tmp_path, name, seed):
    with tried(f"kill -9 of `vaeline {name}`", seed, "the same command ends as an undisturbed one") as this:
        command, (expected, seconds) = COMMANDS[name], ended(name)
        place = command.prepare(tmp_path)
        after = seconds * (0.3 + 0.7 * ((seed * 3) % 4 + random.Random(seed).random()) / 4)
        process = place.start(*command.words)
        time.sleep(min(after, LONGEST))
        kill_all(place, process)
        this.lost = f"killed after {after / seconds:.0%} of its time"
        command.ends_as(place, expected)


@times(4)
def test_a_service_that_is_killed_while_it_swaps_starts_again_with_the_new_champion(tmp_path, seed):
    with tried("kill -9 of `vaeline serve`, while it loads the new champion", seed, "the next one serves it") as this:
        place = copy_workspace(two_candidates(), tmp_path)
        store, client = sqlite_uri(place.root / "mlflow.db"), place.client()
        with Server(place, store, tmp_path) as service:
            service.wait_for_version("1")
            promotion = place.start("vaeline", "promote", "2", "--replaces", "1", "--reason", "a test")
            while promotion.poll() is None and client.get_registered_model("vae-digits").aliases["champion"] == "1":
                time.sleep(0.02)
            after = random.Random(seed).uniform(0, SWAP)
            time.sleep(after)
        assert promotion.wait(60) == 0
        this.lost = f"killed {after:.1f} s after the move"
        with Server(place, store, tmp_path) as service:
            service.wait_for_version("2")
        place.run("vaeline", "registry", "check")
