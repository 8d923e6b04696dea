"""`python`, `dvc`, `uvicorn` or `vaeline` for the tests of the pipeline: asks the fork server to run the command.

A command that the fork server does not run gets a Python of its own. Run by `python -I -S`, it starts in milliseconds.
"""

import array
import json
import os
import signal
import socket
import sys

COMMANDS = ("dvc", "uvicorn", "vaeline")
MODULES = ("dvc", "vaeline.cli")
SERVER = "mlflow"  # `mlflow models serve`, with which the gate tries a model; it leaves the model to `uvicorn`
FORWARDED = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def is_forked(program: str, arguments: list[str]) -> bool:
    """Whether the fork server runs it: a program, a module or a script of those that tests run, or a line of code."""
    if program in COMMANDS:
        return True
    first, *rest = arguments or [""]
    if first == "-m" and rest[:1] == [SERVER]:
        return True
    if "PYTHONSAFEPATH" in os.environ:
        return False
    if first in {"-c", "-m"}:
        return bool(rest) and (first == "-c" or rest[0] in MODULES)
    return first.startswith("pipeline/")


def main(python: str, address: str, program: str, *arguments: str) -> None:
    name = os.path.basename(program)
    if not is_forked(name, list(arguments)):
        os.execv(python, [python, *arguments])
    request = {
        "program": program,
        "arguments": arguments,
        "cwd": os.getcwd(),
        "environment": dict(os.environ),
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        for number in FORWARDED:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda received, _: server.send(bytes([received])))
        server.connect(address)
        socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
        answer = server.recv(4)
    if not answer:
        sys.exit("the fork server has ended")
    status = array.array("i", answer)[0]
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


main(*sys.argv[1:])
