"""The CI job that runs this process."""

import os


def ci_tags() -> dict[str, str]:
    """Tags of the GitHub Actions job that runs this process; empty elsewhere."""
    about = {
        name: os.environ.get(f"GITHUB_{name}", "")
        for name in ("SERVER_URL", "REPOSITORY", "RUN_ID", "RUN_ATTEMPT", "WORKFLOW", "ACTOR")
    }
    if not (about["SERVER_URL"] and about["REPOSITORY"] and about["RUN_ID"]):
        return {}
    address = f"{about['SERVER_URL']}/{about['REPOSITORY']}/actions/runs/{about['RUN_ID']}"
    if about["RUN_ATTEMPT"]:
        address += f"/attempts/{about['RUN_ATTEMPT']}"
    named = {"vaeline.ci_workflow": about["WORKFLOW"], "vaeline.ci_actor": about["ACTOR"]}
    return {"vaeline.ci_url": address} | {tag: value for tag, value in named.items() if value}
