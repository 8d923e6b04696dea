"""Keeping up with what a reference means: the next model is loaded and checked beside the one that answers."""

import gc
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from vaeline.errors import VaelineError
from vaeline.serving.service.metrics import Metrics
from vaeline.serving.service.served import Served, admit
from vaeline.serving.service.sighting import Identity, Sighting, sight

LONGEST_PAUSE = 300.0
STOPPING = 5.0
log = logging.getLogger("vaeline.serve")


@dataclass(frozen=True)
class Trouble:
    """Why the model that answers is not the one that is meant: a sentence, and the model that was refused, if any."""

    sentence: str
    refused: Identity | None = None
    attempts: int = 1
    next_try: float = 0.0


class Follower:
    """Looks at a reference every `interval` seconds, in a thread of its own, and keeps the model it means.

    `current` changes by one assignment, after all checks: who reads it once has one model for as long as it holds it.
    A model that fails is tried again after pauses that double; meanwhile the one before goes on.
    """

    def __init__(
        self, reference: str, interval: float, metrics: Metrics, look_up: Callable[[str], Sighting] = sight
    ) -> None:
        self.reference = reference
        self.interval = interval
        self.current: Served | None = None
        self.trouble: Trouble | None = None
        self._metrics = metrics
        self._look_up = look_up
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)

    def start(self) -> None:
        """Look now, and then at intervals."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; what is being loaded is given up."""
        self._stopped.set()
        self._thread.join(STOPPING)

    def look(self) -> None:
        """One look: load and swap where the reference means another model than before. Raises nothing."""
        try:
            seen = self._look_up(self.reference)
        except Exception as error:
            self._note(Trouble(_sentence(error)))
            return
        if self.current and seen.identity == self.current.identity:
            self._settle()
        elif not self._is_paused(seen.identity):
            self._replace(seen)

    def _replace(self, seen: Sighting) -> None:
        began = time.monotonic()
        try:
            served = admit(seen)
        except Exception as error:
            self._metrics.failed_loads.inc()
            self._note(self._refuse(seen.identity, error))
            return
        before, self.current = self.current, served
        self._metrics.serve(served.identity)
        if before:
            self._metrics.swaps.inc()
        log.info("%s answers (%s), loaded in %.1f s", *_names(served.identity), time.monotonic() - began)
        self._settle()
        del before
        gc.collect()

    def _refuse(self, identity: Identity, error: Exception) -> Trouble:
        known = self.trouble
        attempts = known.attempts + 1 if known and known.refused == identity else 1
        pause = min(self.interval * 2**attempts, max(LONGEST_PAUSE, self.interval))
        sentence = _sentence(error)
        named = sentence if identity.uri in sentence else f"{identity.uri}: {sentence}"
        return Trouble(named, identity, attempts, time.monotonic() + pause)

    def _is_paused(self, identity: Identity) -> bool:
        known = self.trouble
        return bool(known and known.refused == identity and time.monotonic() < known.next_try)

    def _note(self, trouble: Trouble) -> None:
        if self.trouble is None or self.trouble.sentence != trouble.sentence:
            kept = f"{self.current.identity.uri} goes on" if self.current else "there is no model yet"
            log.warning("%s; %s", trouble.sentence, kept)
        self.trouble = trouble
        self._metrics.following.set(0)

    def _settle(self) -> None:
        self.trouble = None
        self._metrics.following.set(1)

    def _follow(self) -> None:
        self.look()
        while not self._stopped.wait(self.interval):
            self.look()


def _sentence(error: Exception) -> str:
    text = str(error).strip().splitlines()[0][:500] if str(error).strip() else ""
    return text if isinstance(error, VaelineError) else f"{type(error).__name__}: {text}"


def _names(identity: Identity) -> tuple[str, str]:
    return identity.uri, f"{identity.digest[:12]}…"
