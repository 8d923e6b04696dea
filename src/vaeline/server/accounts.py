"""Users, roles and rights of a server. The functions can be called again without harm."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from vaeline.errors import VaelineError
from vaeline.redaction import one_line
from vaeline.registry.ledger import RUN_TAG, ledger_name
from vaeline.registry.names import candidate_name, served_name
from vaeline.server.folder import (
    ADMIN,
    Folder,
    new_password,
    read_address,
    read_password,
    write_credentials,
)
from vaeline.tracking.store import experiment_name

WORKSPACE = "default"
RIGHTS = {  # the rights of each role on each data set; only the administrator has MANAGE, which may delete
    "trainer": {"experiment": "EDIT", "candidates": "EDIT", "served": "READ", "ledger": "READ"},
    "promoter": {"experiment": "READ", "candidates": "READ", "served": "EDIT", "ledger": "EDIT"},
    "viewer": {"experiment": "READ", "candidates": "READ", "served": "READ", "ledger": "READ"},
}
USER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
API, RIGHTS_API = "/api/2.0/mlflow", "/api/3.0/mlflow"
SECONDS = 120


@dataclass(frozen=True)
class Caller:
    """A user who sends requests to a server."""

    server: str
    user: str
    password: str

    def send(self, method: str, path: str, **content: Any) -> requests.Response:
        """Send a request and return the response. The content is the query (GET) or the body.

        Raises VaelineError.
        """
        query, body = (content, None) if method == "GET" else (None, content)
        with requests.Session() as session:
            session.trust_env = False  # no proxy and no .netrc for a port of this machine
            session.auth = (self.user, self.password)
            try:
                return session.request(method, f"{self.server}{path}", params=query, json=body, timeout=SECONDS)
            except requests.RequestException:
                raise VaelineError(f"no server answers at {self.server}; `vaeline server start` starts it") from None

    def read(self, path: str, **query: Any) -> dict[str, Any]:
        """Read something that must exist. Raises VaelineError."""
        return _content(self.send("GET", path, **query))

    def get(self, path: str, **query: Any) -> dict[str, Any] | None:
        """Read something; None if it does not exist. Raises VaelineError."""
        answer = self.send("GET", path, **query)
        return None if answer.status_code == requests.codes.not_found else _content(answer)

    def do(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        """Change something. Raises VaelineError."""
        return _content(self.send(method, path, **content))

    def make(self, path: str, **content: Any) -> None:
        """Make something, unless another process has just made it. Raises VaelineError."""
        answer = self.send("POST", path, **content)
        if "RESOURCE_ALREADY_EXISTS" not in answer.text:
            _content(answer)


def admin_of(folder: Folder) -> Caller:
    """The administrator of the server that runs in this folder. Raises VaelineError."""
    admin = Caller(read_address(folder).local, ADMIN, read_password(folder, ADMIN))
    if not _accepts(admin):
        raise VaelineError(f"the server at {admin.server} does not accept the password in {folder.credentials(ADMIN)}")
    return admin


def grant(admin: Caller, datasets: Sequence[str]) -> None:
    """Prepare data sets, and give every role exactly its rights on all data sets of the server.

    The administrator makes the experiment, the ledger and both registered models, because the user who makes a
    registered model has all rights on it. Raises VaelineError.
    """
    wanted: dict[str, dict[tuple[str, str], str]] = {role: {} for role in RIGHTS}
    for dataset in sorted({*datasets, *_known_datasets(admin)}):
        models = {"candidates": candidate_name(dataset), "served": served_name(dataset)}
        for model in models.values():
            if admin.get(f"{API}/registered-models/get", name=model) is None:
                admin.make(f"{API}/registered-models/create", name=model)
        places = {kind: ("registered_model", model) for kind, model in models.items()}
        places["experiment"] = ("experiment", _experiment(admin, experiment_name(dataset)))
        places["ledger"] = ("experiment", _ledger(admin, ledger_name(served_name(dataset))))
        for role, rights in RIGHTS.items():
            wanted[role] |= {places[kind]: permission for kind, permission in rights.items()}
    for role, rights in wanted.items():
        _set_rights(admin, role, rights)


def add_user(admin: Caller, folder: Folder, name: str, roles: Sequence[str]) -> None:
    """Make or change a user, who then has exactly these roles and the password in the user's file.

    A password that is missing or that the server refuses is replaced. Raises VaelineError.
    """
    if not USER_NAME.fullmatch(name) or name == ADMIN:
        raise VaelineError(f"{name!r} cannot be a user's name: use letters, digits, _ . and -, and not {ADMIN}")
    if unknown := set(roles) - set(RIGHTS):
        raise VaelineError(f"there is no role {', '.join(sorted(unknown))}; the roles are: {', '.join(RIGHTS)}")
    password = read_password(folder, name) or new_password()
    if admin.get(f"{API}/users/get", username=name) is None:
        admin.make(f"{API}/users/create", username=name, password=password)
    elif not _accepts(Caller(admin.server, name, password)):
        admin.do("PATCH", f"{API}/users/update-password", username=name, password=password)
    write_credentials(folder, name, password, read_address(folder))
    held = {role["name"] for role in admin.read(f"{RIGHTS_API}/users/roles/list", username=name)["roles"]}
    for role in set(roles) - held:
        admin.make(f"{RIGHTS_API}/roles/assign", username=name, role_id=_role(admin, role)["id"])
    for role in held & set(RIGHTS) - set(roles):
        admin.do("DELETE", f"{RIGHTS_API}/roles/unassign", username=name, role_id=_role(admin, role)["id"])


def _known_datasets(admin: Caller) -> set[str]:
    """The data sets that have both registered models on the server."""
    question = {"filter": "name LIKE 'vae-%'", "max_results": 1000}
    found = admin.read(f"{API}/registered-models/search", **question).get("registered_models", [])
    names = {model["name"] for model in found}
    datasets = {name.removeprefix(served_name("")) for name in names}
    return {dataset for dataset in datasets if {candidate_name(dataset), served_name(dataset)} <= names}


def _set_rights(admin: Caller, role: str, wanted: Mapping[tuple[str, str], str]) -> None:
    """Give a role exactly these rights. Other rights are removed."""
    found = _role(admin, role)
    held = {(right["resource_type"], right["resource_pattern"]): right for right in found["permissions"]}
    for place in held.keys() - wanted.keys():
        admin.do("DELETE", f"{RIGHTS_API}/roles/permissions/remove", role_permission_id=held[place]["id"])
    for (kind, name), permission in wanted.items():
        right = held.get((kind, name))
        if right is None:
            new = {"resource_type": kind, "resource_pattern": name, "permission": permission}
            admin.make(f"{RIGHTS_API}/roles/permissions/add", role_id=found["id"], **new)
        elif right["permission"] != permission:
            change = {"role_permission_id": right["id"], "permission": permission}
            admin.do("PATCH", f"{RIGHTS_API}/roles/permissions/update", **change)


def _role(admin: Caller, name: str) -> dict[str, Any]:
    def find() -> dict[str, Any] | None:
        roles = admin.read(f"{RIGHTS_API}/roles/list", workspace=WORKSPACE)["roles"]
        return next((role for role in roles if role["name"] == name), None)

    if known := find():
        return known
    admin.make(f"{RIGHTS_API}/roles/create", name=name, workspace=WORKSPACE)
    if made := find():
        return made
    raise VaelineError(f"the server does not list the role {name}, which was just made; start the server again")


def _experiment(admin: Caller, name: str) -> str:
    place = f"{API}/experiments/get-by-name"
    if admin.get(place, experiment_name=name) is None:
        admin.make(f"{API}/experiments/create", name=name)
    return admin.read(place, experiment_name=name)["experiment"]["experiment_id"]


def _ledger(admin: Caller, name: str) -> str:
    """The experiment of a ledger with its run, made as in `ledger.make_ledger`."""
    experiment = _experiment(admin, name)
    tags = admin.read(f"{API}/experiments/get", experiment_id=experiment)["experiment"].get("tags", [])
    if RUN_TAG not in {tag["key"] for tag in tags}:
        run = admin.do("POST", f"{API}/runs/create", experiment_id=experiment, run_name=name)["run"]["info"]["run_id"]
        admin.do("POST", f"{API}/runs/update", run_id=run, status="FINISHED")
        admin.do("POST", f"{API}/experiments/set-experiment-tag", experiment_id=experiment, key=RUN_TAG, value=run)
    return experiment


def _accepts(caller: Caller) -> bool:
    """Whether the server accepts the user's password."""
    return caller.send("GET", f"{API}/users/current").ok


def _content(answer: requests.Response) -> dict[str, Any]:
    if not answer.ok:
        raise VaelineError(
            f"{answer.request.path_url}: the server answers {answer.status_code}, {one_line(answer.text, 200)}"
        )
    return answer.json() if answer.content else {}
