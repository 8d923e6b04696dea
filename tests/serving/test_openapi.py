"""The service keeps to its own description, /openapi.json, whatever schemathesis makes of it."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

EXAMPLES = 15
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
OPERATIONS = [
    *(f"POST /{name}" for name in ("reconstruct", "encode", "decode", "score", "fit")),
    *(f"GET /{name}" for name in ("sample", "healthz", "readyz", "version", "metrics")),
]
WITH_PARAMETERS = {"POST /reconstruct", "POST /encode", "POST /decode", "POST /score", "GET /sample"}


@pytest.fixture(scope="module")
def operations(host):
    """The operations of the description, by method and path."""
    found = [each.ok() for each in schemathesis.openapi.from_dict(host.app.openapi()).get_all_operations()]
    return {each.label: each for each in found}


def test_all_operations_are_tried(operations):
    assert set(operations) == set(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_is_described_is_answered_as_described(host, operations, name):
    ask(host, operations[name].as_strategy(GenerationMode.POSITIVE))


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name in WITH_PARAMETERS])
def test_what_is_not_described_is_refused_as_described(host, operations, name):
    ask(host, operations[name].as_strategy(GenerationMode.NEGATIVE))


def ask(host, cases):
    """Send cases, and compare the answers with the description."""

    @settings(
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=EXAMPLES,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def try_case(case):
        request = case.as_transport_kwargs("http://127.0.0.1")
        response = host.run(lambda client: client.send(build(client, request)))
        case.validate_response(response, checks=CHECKS)

    try_case()


def build(client, request):
    """What schemathesis would send, as a request of httpx."""
    data = request.pop("data", None)
    content = {"content": data} if isinstance(data, bytes | str) else {"data": data}
    return client.build_request(**{"headers": request["headers"], **request, **content})
