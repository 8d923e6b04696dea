"""Follow a reference: when it names another model, load and check that model while the present one answers."""

import gc
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from vaeline.errors import VaelineError
from vaeline.redaction import redact
from vaeline.serving.metrics import Metrics
from vaeline.serving.resolved import Identity, ResolvedModel, resolve
from vaeline.serving.served import Served, admit

LONGEST_PAUSE = 300.0
STOPPING = 5.0
log = logging.getLogger("vaeline.serve")


@dataclass(frozen=True)
class Trouble:
    """The reason why the answering model is not the one that the reference names, as a sentence.

    refused: the model that could not be loaded or failed a check, if this is the reason.
    """

    sentence: str
    refused: Identity | None = None
    attempts: int = 1
    next_try: float = 0.0


@dataclass(frozen=True)
class Situation:
    """The model that answers, if one is loaded, and the trouble, if it is not the model that the reference names."""

    served: Served | None = None
    trouble: Trouble | None = None


class Follower:
    """Looks up a reference every `interval` seconds, in its own thread, and keeps the model that it names.

    `situation` is replaced by one assignment, after all checks. A caller that reads it once therefore has one model.
    A model that fails is tried again after pauses that double. Until then, the model before it answers.
    """

    def __init__(
        self, reference: str, interval: float, metrics: Metrics, look_up: Callable[[str], ResolvedModel] = resolve
    ) -> None:
        self.reference = reference
        self.interval = interval
        self.situation = Situation()
        self._metrics = metrics
        self._look_up = look_up
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)

    def start(self) -> None:
        """Look up the reference now, and then at intervals."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the lookups. A model that is being loaded is dropped."""
        self._stopped.set()
        self._thread.join(STOPPING)

    def look(self) -> None:
        """Look up the reference once. If it names another model, load it and let it answer. Raises nothing."""
        try:
            resolved = self._look_up(self.reference)
        except Exception as error:
            self._note(Trouble(_sentence(error)))
            return
        served = self.situation.served
        if served and resolved.identity == served.identity:
            self._settle(served)
        elif not self._is_paused(resolved.identity):
            self._replace(resolved)

    def _replace(self, resolved: ResolvedModel) -> None:
        began = time.monotonic()
        try:
            served = admit(resolved)
        except Exception as error:
            self._metrics.failed_loads.inc()
            self._note(self._refuse(resolved.identity, error))
            return
        swapped = self.situation.served is not None
        self._settle(served)
        self._metrics.serve(served.identity)
        self._metrics.swaps.inc(swapped)
        log.info("%s answers (%s), loaded in %.1f s", *_names(served.identity), time.monotonic() - began)
        gc.collect()

    def _refuse(self, identity: Identity, error: Exception) -> Trouble:
        known = self.situation.trouble
        attempts = known.attempts + 1 if known and known.refused == identity else 1
        pause = min(self.interval * 2**attempts, max(LONGEST_PAUSE, self.interval))
        sentence = _sentence(error)
        named = sentence if identity.uri in sentence else f"{identity.uri}: {sentence}"
        return Trouble(named, identity, attempts, time.monotonic() + pause)

    def _is_paused(self, identity: Identity) -> bool:
        known = self.situation.trouble
        return bool(known and known.refused == identity and time.monotonic() < known.next_try)

    def _note(self, trouble: Trouble) -> None:
        served, known = self.situation.served, self.situation.trouble
        if known is None or known.sentence != trouble.sentence:
            kept = f"{served.identity.uri} still answers" if served else "there is no model yet"
            log.warning("%s; %s", trouble.sentence, kept)
        self.situation = Situation(served, trouble)
        self._metrics.following.set(0)

    def _settle(self, served: Served) -> None:
        self.situation = Situation(served)
        self._metrics.following.set(1)

    def _follow(self) -> None:
        self.look()
        while not self._stopped.wait(self.interval):
            self.look()


def _sentence(error: Exception) -> str:
    text = redact(str(error)).strip().partition("\n")[0][:500]
    return text if isinstance(error, VaelineError) else f"{type(error).__name__}: {text}"


def _names(identity: Identity) -> tuple[str, str]:
    return identity.uri, f"{identity.digest[:12]}…"
