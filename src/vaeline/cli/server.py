"""Commands for a team's server."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaeline.cli.app import app, sentences

if TYPE_CHECKING:
    from vaeline.server.folder import Address, Folder

server = typer.Typer(no_args_is_help=True, help="A team's MLflow server on PostgreSQL, with users and rights.")
app.add_typer(server, name="server")

HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(:\d+)?")
DataOption = Annotated[Path | None, typer.Option("--data", help="The server's folder. Default: .vaeline/server.")]


def host_name(name: str) -> str:
    """Refuse a text that is not a host name."""
    if name and not HOST_NAME.fullmatch(name):
        raise typer.BadParameter("must be a host's name, such as mlflow.example.org")
    return name


@server.command()
def start(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port on 127.0.0.1.")] = 5000,
    name: Annotated[
        str, typer.Option(callback=host_name, help="The host name of the TLS proxy, if there is one.")
    ] = "",
    data: DataOption = None,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="First upgrade the database of an older MLflow. Make a backup before.")
    ] = False,
) -> None:
    """Start the server. Ctrl-C stops it.

    Reads and writes the folder of --data. The first start makes the database, the users and their passwords.

    Example: vaeline server start --port 5000
    """
    import os

    from vaeline.params.whole import read_params
    from vaeline.server.run import serve

    folder = _folder(data)

    def ready(address: "Address") -> None:
        typer.echo(f"MLflow is on {address.local}, its files are in {folder.root}; Ctrl-C stops it")
        typer.echo(f"The users' settings are in {folder.private}: set -a; . {folder.credentials('trainer')}; set +a")
        if os.geteuid() == 0:
            typer.echo("MLflow runs as root, because you are root. A server for others should run as a separate user")

    with sentences():
        serve(folder, port, name, [read_params().data.name], ready, upgrade)


@server.command()
def grant(
    datasets: Annotated[list[str], typer.Argument(metavar="DATASET...", help="The short names, as in vae-DATASET.")],
    data: DataOption = None,
) -> None:
    """Prepare data sets on the running server, and give every role its rights on them.

    Makes the experiment, the ledger and the registered models of each data set.

    Example: vaeline server grant mnist
    """
    from vaeline.server.accounts import admin_of
    from vaeline.server.accounts import grant as give

    with sentences():
        give(admin_of(_folder(data)), datasets)
    typer.echo(f"the roles have their rights on {', '.join(datasets)}")


@server.command()
def user(
    name: Annotated[str, typer.Argument(help="The name of a person or a job.")],
    roles: Annotated[list[str] | None, typer.Argument(metavar="[ROLE...]", help="trainer, promoter or viewer.")] = None,
    data: DataOption = None,
) -> None:
    """Make or change a user, who then has exactly these roles.

    Without a role, the user has no rights.

    Writes the user's address and password to a private file in the folder of --data.

    Example: vaeline server user anna trainer
    """
    from vaeline.server.accounts import add_user, admin_of

    folder = _folder(data)
    with sentences():
        add_user(admin_of(folder), folder, name, roles or [])
    typer.echo(f"{name}: {', '.join(roles or ['no role'])}; address and password are in {folder.credentials(name)}")


def _folder(data: Path | None) -> "Folder":
    from vaeline.server.folder import Folder, default_folder

    return Folder(data.resolve()) if data else default_folder()
