"""What all tests share: one real nats-server a test session, and names that no other test uses."""

import asyncio
from collections.abc import Iterator
from hashlib import sha256

import pytest

from retold.log.embedded import EmbeddedServer


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a real nats-server on a free loopback port, the same one for all tests of the session."""
    server = EmbeddedServer(tmp_path_factory.mktemp("nats"), profile="fast")
    running = asyncio.run(server.start())
    yield running.url
    asyncio.run(server.stop())


@pytest.fixture
def tenant(request: pytest.FixtureRequest) -> str:
    """Give a tenant name that belongs to this test alone, the same in every run."""
    return "t" + sha256(request.node.nodeid.encode()).hexdigest()[:16]
