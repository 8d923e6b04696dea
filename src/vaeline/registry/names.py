"""Names of registered models, versions and aliases."""

SCHEME = "models:/"
CHAMPION = "champion"


def candidate_name(dataset: str) -> str:
    """The registered model of the candidates, which trainings write to."""
    return f"vae-{dataset}-candidates"


def served_name(dataset: str) -> str:
    """The registered model that is served; its alias `champion` names the version."""
    return f"vae-{dataset}"


def version_uri(name: str, number: int | str) -> str:
    """MLflow's address of a version: `models:/name/version`."""
    return f"{SCHEME}{name}/{number}"


def champion_uri(dataset: str) -> str:
    """MLflow's address of the champion of a data set: `models:/name@champion`."""
    return f"{SCHEME}{served_name(dataset)}@{CHAMPION}"
