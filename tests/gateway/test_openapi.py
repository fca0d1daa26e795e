"""Whatever a program makes of the gateway's own OpenAPI document is answered, and as the document says."""

import asyncio
import gc
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from requests import Session
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.gateway.running import gateway
from tests.laws.settings import law

from retold.events import Form
from retold.gateway.app import ANSWERS, METHODS, VERSION
from retold.gateway.openapi import document
from retold.gateway.relay import Asked

_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_SETTINGS = settings(law(4), suppress_health_check=list(HealthCheck))


def test_the_document_says_what_is_there() -> None:
    """Each path that is answered here is in it, and takes its method alone, with the version and without."""

    async def run() -> None:
        async with gateway() as (url, _), httpx2.AsyncClient() as client:
            told = (await client.get(f"{url}/openapi.json")).json()
            assert told == document()
            paths: dict[str, dict[str, Any]] = told["paths"]
            assert {path for path, methods in paths.items() if "post" in methods} == set(ANSWERS)
            for path, methods in paths.items():
                for base in (VERSION, ""):
                    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                        answer = await client.request(method, f"{url}{base}{path}", content=b"{}")
                        taken = method.lower() in methods if path in ANSWERS else method in METHODS
                        assert (answer.status_code == 405) == (not taken), (method, path)
                        assert answer.status_code != 404
                        if answer.status_code == 405:
                            assert answer.headers["allow"].split(", ")
            assert (await client.post(f"{url}/openapi.json")).status_code == 405

    asyncio.run(run())


@pytest.mark.slow
@pytest.mark.parametrize("form", ["responses", "chat", "anthropic"])
def test_whatever_the_document_allows_or_forbids_is_answered_as_it_says(form: Form) -> None:
    """No 500, every error in the shape of its path; and when all is answered, no task and no request is held."""

    async def run() -> None:
        async with gateway("calls", "ok", form=form) as (url, upstream):
            before = len(asyncio.all_tasks())
            await asyncio.to_thread(_fuzz, f"{url}{VERSION}")
            assert upstream.requests
            async with asyncio.timeout(10):
                while len(asyncio.all_tasks()) > before + 1:  # noqa: ASYNC110 - one connection of the client's is kept
                    await asyncio.sleep(0.02)
            gc.collect()
            assert not [held for held in gc.get_objects() if isinstance(held, Asked)]

    asyncio.run(run())


def _fuzz(url: str) -> None:
    schema = schemathesis.openapi.from_dict(document())
    with Session() as session:
        for found in schema.get_all_operations():
            assert isinstance(found, Ok)
            operation = found.ok()
            modes = GenerationMode if operation.body else [GenerationMode.POSITIVE]  # without a body, nothing is wrong
            for mode in modes:

                @_SETTINGS
                @given(case=operation.as_strategy(generation_mode=mode))
                def check(case: schemathesis.Case[Any]) -> None:
                    case.call_and_validate(base_url=url, session=session, timeout=30, checks=_CHECKS)

                check()
