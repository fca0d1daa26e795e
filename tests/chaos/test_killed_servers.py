"""Servers that are killed under load: what was acknowledged is there once, and everybody works on soon."""

import asyncio
import os
import random
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.chaos.agents import Counts, talking
from tests.chaos.cluster import cluster
from tests.chaos.crew import crew, start_worker, times

from retold.log import EmbeddedServer, connect_log
from retold.log.link import Link
from retold.worker.leasing import LEASE_TTL_S

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]

KILLS = times(10, 2)
LEADER_KILLS = times(20, 1)
AGENTS = times(6, 1)
SESSIONS = times(8, 2)
"""In how many sessions one more agent talks at once."""
LOAD_S_MAX = 0.2 if KILLS == 2 else 2.0
"""How long they work before the next kill, at most."""


def test_a_server_that_is_killed_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    """However often the server is killed -9 under load, nothing acknowledged is missing or doubled, and all go on."""
    chance = random.Random(8)

    async def run() -> Counts:
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as servers, crew() as workers:
            server = await servers.enter_async_context(EmbeddedServer(tmp_path, profile="safe"))
            log = await servers.enter_async_context(connect_log(server.url))
            workers.append(start_worker(server.url, ttl_s=LEASE_TTL_S))
            async with talking(log, agents=AGENTS, sessions=SESSIONS) as fleet:
                await fleet.works(since_s=loop.time())
                fleet.counts = Counts()
                for _ in range(KILLS):
                    await asyncio.sleep(chance.uniform(0, LOAD_S_MAX))
                    os.kill(server.running.pid, signal.SIGKILL)
                    since_s = loop.time()
                    server = await servers.enter_async_context(EmbeddedServer(tmp_path, profile="safe"))
                    fleet.counts.kills += 1
                    await fleet.works(since_s=since_s)
            await fleet.compare()
            assert workers[0].poll() is None
        return fleet.counts

    print(asyncio.run(run()))  # noqa: T201 - what `make soak` is run for


def test_a_cluster_whose_leader_is_killed_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    """However often the leader of three is killed -9 under load, nothing is missing or doubled, and all go on."""
    chance = random.Random(9)

    async def run() -> Counts:
        loop = asyncio.get_running_loop()
        async with (
            cluster(tmp_path) as servers,
            connect_log(servers.urls, replicas=3) as log,
            crew() as workers,
        ):
            link = await Link.open(servers.urls, name="chaos")
            workers.append(start_worker(servers.urls, ttl_s=LEASE_TTL_S))
            async with talking(log, agents=AGENTS, sessions=SESSIONS) as fleet:
                await fleet.works(since_s=loop.time())
                fleet.counts = Counts()
                for _ in range(LEADER_KILLS):
                    await servers.whole()
                    await asyncio.sleep(chance.uniform(0, LOAD_S_MAX))
                    leader = await servers.leader(link)
                    since_s = loop.time()
                    servers.kill(leader)
                    fleet.counts.kills += 1
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(fleet.works(since_s=since_s))
                        await servers.leader(link, beside=leader)
                        fleet.counts.leader_s.append(loop.time() - since_s)
                    await servers.start(leader)
            await servers.whole()
            await fleet.compare()
            await link.close()
            assert workers[0].poll() is None
        return fleet.counts

    print(asyncio.run(run()))  # noqa: T201 - what `make soak` is run for
