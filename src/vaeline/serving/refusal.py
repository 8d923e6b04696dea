"""Why a request gets no answer."""

from vaeline.serving.resolved import Identity


class RefusalError(Exception):
    """A status of HTTP, one sentence, and the model that said so, if it was a model."""

    def __init__(
        self, status: int, sentence: str, identity: Identity | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.identity = identity
        self.retry_after = retry_after
