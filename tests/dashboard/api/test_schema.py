"""Random and broken requests against everything that the schema says there is."""

from __future__ import annotations

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode, checks

from dashboard.api.application import schema
from orchestrator.wsgi import application

EXAMPLES = 5
SCHEMA = schemathesis.openapi.from_dict(schema())
OPERATIONS = {operation.ok().label: operation.ok() for operation in SCHEMA.get_all_operations()}
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


MODES = {"right": GenerationMode.POSITIVE, "wrong": GenerationMode.NEGATIVE}
# Where nothing can be sent, nothing wrong can be.
SENDS = {label for label, one in OPERATIONS.items() if [*one.query, *one.body]}


def known(operation, places):
    names = [parameter.name for parameter in operation.path_parameters]
    return {name: places[name] for name in names} or None


@pytest.mark.parametrize(
    ("label", "mode"), [(label, mode) for mode in MODES for label in OPERATIONS if mode == "right" or label in SENDS]
)
def test_nothing_sent_brings_a_5xx_or_an_undocumented_answer(label, mode, token, places, site):
    operation = OPERATIONS[label]
    # Called without the network, nobody would unpack what is packed on the way.
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
    case = operation.as_strategy(MODES[mode], path_parameters=known(operation, places))

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case)
    def attack(case):
        answer = case.call("http://testserver", app=site, headers=headers)
        assert answer.status_code < 500
        case.validate_response(answer, checks=CHECKS)

    attack()


@pytest.fixture
def site(settings):
    """The whole WSGI application, with the connection that holds the test's rows."""
    settings.API_READS_PER_MINUTE = settings.API_WRITES_PER_MINUTE = 1_000_000
    settings.ALLOWED_HOSTS = ["testserver"]
    # As Django's own test client does: else the connection is closed with the first request.
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    yield application
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)
