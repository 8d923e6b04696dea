import pytest
from pipeline.test_gate import *


@pytest.fixture(scope="session")
def finished():
    return Workspace(Path("/tmp/ws-gate"))
