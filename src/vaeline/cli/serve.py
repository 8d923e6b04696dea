"""The command that serves a model over HTTP."""

from typing import Annotated

import typer

from vaeline.cli.app import app, sentences
from vaeline.cli.exchange import finite


@app.command()
def serve(
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="models:/name@alias, models:/name/version, a run, or a .keras file. "
            "Default: the champion of the data set in params.yaml.",
        ),
    ] = "",
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0: all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any free port.")] = 8000,
    interval: Annotated[
        float, typer.Option(callback=finite, min=0.05, help="Seconds between two checks for a new model.")
    ] = 5.0,
    most_bytes: Annotated[int, typer.Option(min=1, help="Limit of a request's body.")] = 4_000_000,
    most_images: Annotated[int, typer.Option(min=1, max=10_000, help="Limit of images in a request.")] = 256,
    most_pixels: Annotated[int, typer.Option(min=1, help="Limit of pixels of all pictures in a request.")] = 16_000_000,
    most_elements: Annotated[
        int, typer.Option(min=1, help="Limit of numbers and lists in a body of JSON.")
    ] = 1_000_000,
    batch: Annotated[int, typer.Option(min=1, help="Limit of images that are computed together.")] = 64,
    wait: Annotated[
        float,
        typer.Option(
            callback=finite, min=0, max=1, help="Seconds that a request waits for others, to be computed with them."
        ),
    ] = 0.002,
    queue: Annotated[int, typer.Option(min=1, help="Limit of requests in progress; others get 503.")] = 256,
    timeout: Annotated[
        float, typer.Option(callback=finite, min=0.05, help="Seconds for a request's body, and again for its answer.")
    ] = 10.0,
    head_timeout: Annotated[
        float, typer.Option(callback=finite, min=0.05, help="Seconds for the head of a request.")
    ] = 10.0,
    connections: Annotated[int, typer.Option(min=1, help="Limit of open connections; others get 503.")] = 1000,
    client_connections: Annotated[int, typer.Option(min=1, help="Limit of open connections of one client.")] = 100,
    bodies: Annotated[
        int, typer.Option(min=2, help="Limit of bodies of the full size that are held at once; others get 503.")
    ] = 64,
    rate: Annotated[
        float,
        typer.Option(callback=finite, min=0, help="Requests a second of one client; others get 429; 0: no limit."),
    ] = 100,
    burst: Annotated[int, typer.Option(min=1, help="Requests of one client before the rate applies.")] = 200,
    proxy: Annotated[
        list[str], typer.Option(help="Address of a proxy whose X-Forwarded-For header is trusted; may be repeated.")
    ] = [],  # noqa: B006
    allowed_host: Annotated[
        list[str],
        typer.Option(
            help="Host name under which clients reach the service, such as *.example.org; may be repeated. "
            "Addresses, localhost and the name of this machine are always allowed."
        ),
    ] = [],  # noqa: B006
) -> None:
    """Serve a model over HTTP, with a page to try it.

    Follows the alias: when it moves, the new version is loaded and checked, and
    then it answers. No request is dropped. Reads params.yaml and the registry;
    writes nothing. SIGTERM or Ctrl-C ends it after the last answer.

    Example: vaeline serve --port 9000
    """
    import logging
    import os

    from vaeline.params.whole import read_params

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with sentences():
        from vaeline.compute import choose_backend
        from vaeline.registry.names import champion_uri
        from vaeline.serving.server import serve as run
        from vaeline.serving.settings import Settings

        logging.basicConfig(format="vaeline: %(message)s", level=logging.WARNING)
        logging.getLogger("vaeline.serve").setLevel(logging.INFO)
        logging.getLogger("uvicorn").setLevel(logging.ERROR)  # a client that sends no HTTP is no line of the log
        params = None if model else read_params()
        choose_backend(params.compute.device if params else "auto")
        settings = Settings(
            champion_uri(params.data.name) if params else model,
            interval=interval,
            most_bytes=most_bytes,
            most_images=most_images,
            most_pixels=most_pixels,
            most_elements=most_elements,
            batch=batch,
            wait=wait,
            queue=queue,
            timeout=timeout,
            head_timeout=head_timeout,
            connections=connections,
            client_connections=client_connections,
            bodies=bodies,
            rate=rate,
            burst=burst,
            allowed_hosts=tuple(allowed_host),
        )
        run(settings, host, port, proxy)
