"""The job for KubeRay: its keys are those of the resource RayJob and of a pod, and it fits the rest of the repository.

The schema names and requires the keys that the file uses. KubeRay 1.4 to 1.7 and Kubernetes 1.30 to 1.37 have them.
"""

import re

from conftest import ROOT
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

JOB = YAML(typ="safe").load((ROOT / "docs/kubernetes/rayjob.yaml").read_text(encoding="utf-8"))
TEXT, COUNT = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 1}
FREE = {"type": "object", "additionalProperties": TEXT}


def keys(**properties):
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def always(value):
    return {"const": value}


def many(**properties):
    return {"type": "array", "minItems": 1, "items": keys(**properties)}


AMOUNTS = keys(cpu={"type": "string", "pattern": r"^\d+m?$"}, memory={"type": "string", "pattern": r"^\d+[MG]i$"})
POD = keys(
    spec=keys(
        restartPolicy=always("Never"),
        automountServiceAccountToken=always(False),
        securityContext=keys(
            runAsNonRoot=always(True),
            runAsUser=COUNT,
            runAsGroup=COUNT,
            seccompProfile=keys(type=always("RuntimeDefault")),
        ),
        containers=many(
            name=TEXT,
            image=TEXT,
            workingDir=TEXT,
            env=many(name=TEXT, value=TEXT),
            resources=keys(requests=AMOUNTS, limits=AMOUNTS),
            securityContext=keys(allowPrivilegeEscalation=always(False), capabilities=keys(drop=always(["ALL"]))),
            volumeMounts=many(name=TEXT, mountPath=TEXT),
        ),
        volumes=many(name=TEXT, persistentVolumeClaim=keys(claimName=TEXT)),
    )
)
SCHEMA = keys(
    apiVersion=always("ray.io/v1"),
    kind=always("RayJob"),
    metadata=keys(name=TEXT),
    spec=keys(
        entrypoint=TEXT,
        backoffLimit=COUNT,
        activeDeadlineSeconds=COUNT,
        shutdownAfterJobFinishes=always(True),
        ttlSecondsAfterFinished=COUNT,
        rayClusterSpec=keys(
            rayVersion=TEXT,
            headGroupSpec=keys(rayStartParams=FREE, template=POD),
            workerGroupSpecs=many(
                groupName=TEXT, replicas=COUNT, minReplicas=COUNT, maxReplicas=COUNT, rayStartParams=FREE, template=POD
            ),
        ),
        submitterPodTemplate=POD,
    ),
)
IS_VALID = Draft202012Validator(SCHEMA).is_valid


def misspelt(value):
    """The value with one key misspelt, for each key in turn but those of rayStartParams."""
    if isinstance(value, list):
        for place, item in enumerate(value):
            yield from ((key, [*value[:place], wrong, *value[place + 1 :]]) for key, wrong in misspelt(item))
    if isinstance(value, dict):
        for key, item in value.items():
            yield key, {f"{name}s" if name == key else name: found for name, found in value.items()}
            if key != "rayStartParams":
                yield from ((inner, value | {key: wrong}) for inner, wrong in misspelt(item))


def test_the_job_has_the_keys_of_kuberay_and_kubernetes():
    Draft202012Validator(SCHEMA).validate(JOB)


def test_no_misspelt_key_is_taken():
    wrong = list(misspelt(JOB))
    assert len(wrong) > 100
    assert [key for key, job in wrong if IS_VALID(job)] == []


def test_the_cluster_runs_the_locked_ray():
    locked = re.search(r"^ray==(\S+)", (ROOT / "scale.lock").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert JOB["spec"]["rayClusterSpec"]["rayVersion"] == locked


def test_all_pods_have_the_repository_at_one_path_and_run_its_environment():
    cluster = JOB["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    pods = [JOB["spec"]["submitterPodTemplate"]["spec"], *(group["template"]["spec"] for group in groups)]
    paths = set()
    for pod in pods:
        ((container,), (volume,)) = pod["containers"], pod["volumes"]
        (mount,) = container["volumeMounts"]
        assert mount["name"] == volume["name"]
        assert container["workingDir"] == mount["mountPath"]
        variables = {variable["name"]: variable["value"] for variable in container["env"]}
        assert variables["PATH"].startswith(f"{mount['mountPath']}/.venv/bin:")
        paths.add(mount["mountPath"])
    assert len(paths) == 1


def test_the_command_is_one_that_the_page_explains():
    assert f"\n{JOB['spec']['entrypoint']}\n" in (ROOT / "docs/scale.md").read_text(encoding="utf-8")
