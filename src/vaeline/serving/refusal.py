"""The refusal of a request."""

from vaeline.serving.resolved import Identity


class RefusalError(Exception):
    """The reason why a request gets no answer: one sentence, the HTTP status, and the model if a model refused."""

    def __init__(
        self, status: int, sentence: str, identity: Identity | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.identity = identity
        self.retry_after = retry_after
