"""The metrics of the service for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from vaeline.serving.resolved import Identity

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The counters and histograms of one service, in a registry of their own."""

    def __init__(self):
        registry = self.registry = CollectorRegistry()
        self.requests = Counter("vaeline_requests", "Requests answered.", ["endpoint", "status"], registry=registry)
        self.seconds = Histogram(
            "vaeline_request_seconds",
            "Seconds from the head of a request to the end of its answer.",
            ["endpoint"],
            buckets=SECONDS,
            registry=registry,
        )
        self.batch_images = Histogram(
            "vaeline_batch_images", "Images computed together.", ["mode"], buckets=IMAGES, registry=registry
        )
        self.batch_requests = Histogram(
            "vaeline_batch_requests", "Requests computed together.", ["mode"], buckets=IMAGES, registry=registry
        )
        self.in_work = Gauge(
            "vaeline_requests_in_work", "Requests in progress, waiting or computed.", registry=registry
        )
        self.connections = Gauge("vaeline_connections", "Open connections.", registry=registry)
        self.refused_connections = Counter(
            "vaeline_refused_connections", "Connections beyond a limit.", registry=registry
        )
        self.model = Gauge(
            "vaeline_model_info", "The model that answers.", ["uri", "name", "version", "digest"], registry=registry
        )
        self.loaded = Gauge("vaeline_model_loaded_timestamp_seconds", "When it began to answer.", registry=registry)
        self.swaps = Counter("vaeline_model_swaps", "Models that replaced another one.", registry=registry)
        self.failed_loads = Counter(
            "vaeline_model_failed_loads", "Models that could not be loaded or failed a check.", registry=registry
        )
        self.following = Gauge(
            "vaeline_model_up_to_date",
            "1 while the answering model is the one that the reference names.",
            registry=registry,
        )

    def serve(self, identity: Identity) -> None:
        """Set the model that answers from now on."""
        self.model.clear()
        self.model.labels(identity.uri, identity.name or "", identity.version or "", identity.digest).set(1)
        self.loaded.set_to_current_time()

    def text(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        return generate_latest(self.registry)
