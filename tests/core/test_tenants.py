from __future__ import annotations

import asyncio
import threading

import pytest

from claimkit.errors import ConfigError, TenantRequired
from claimkit.tenants import Role, Tenant, current_tenant, in_tenant, use_tenant
from claimkit.types import TenantKey

NORTHSIDE = TenantKey("northside")
LAKEVIEW = TenantKey("lakeview")


def test_without_a_scope_asking_for_the_tenant_raises():
    assert not in_tenant()
    with pytest.raises(TenantRequired):
        current_tenant()


def test_scopes_nest_and_end():
    with use_tenant(NORTHSIDE):
        with use_tenant(LAKEVIEW):
            assert current_tenant() == LAKEVIEW
        assert current_tenant() == NORTHSIDE
        assert in_tenant()

    assert not in_tenant()


def test_a_scope_ends_when_its_block_raises():
    with pytest.raises(ZeroDivisionError), use_tenant(NORTHSIDE):
        1 / 0  # noqa: B018

    assert not in_tenant()


def test_an_empty_key_is_no_scope():
    with pytest.raises(TenantRequired), use_tenant(TenantKey("")):
        pass


def test_another_thread_does_not_inherit_the_scope():
    seen: list[bool] = []
    with use_tenant(NORTHSIDE):
        thread = threading.Thread(target=lambda: seen.append(in_tenant()))
        thread.start()
        thread.join()

    assert seen == [False]


def test_coroutines_keep_their_own_scope():
    async def work(key: TenantKey) -> TenantKey:
        with use_tenant(key):
            await asyncio.sleep(0)
            return current_tenant()

    async def both() -> list[TenantKey]:
        return await asyncio.gather(work(NORTHSIDE), work(LAKEVIEW))

    assert asyncio.run(both()) == [NORTHSIDE, LAKEVIEW]


def test_roles_are_ordered():
    assert Role.OWNER.includes(Role.ADMIN)
    assert Role.ANALYST.includes(Role.ANALYST)
    assert not Role.VIEWER.includes(Role.ANALYST)


@pytest.mark.parametrize(
    ("key", "timezone"), [("", "UTC"), ("northside", "Mars/Olympus"), ("northside", "../etc")]
)
def test_a_tenant_needs_a_key_and_a_real_time_zone(key, timezone):
    with pytest.raises(ConfigError):
        Tenant(key=TenantKey(key), name="Northside", timezone=timezone)
