"""The conformance suite on the site's own database: SQLite or PostgreSQL."""

from __future__ import annotations

import itertools

import pytest
from django.db import connections

from claimkit.testing.conformance import StoreConformance
from claimkit.types import TenantKey
from claimkit_django.runtime import OrmStore, open_store
from claimkit_django.tenants.models import Tenant


class _OwnConnection(OrmStore):
    """A store of another thread, which must close the connection that Django opened for it."""

    def close(self) -> None:
        super().close()
        connections[self.using].close()


@pytest.mark.django_db(transaction=True)
class TestOrmStore(StoreConformance):
    _serial = itertools.count(1)

    @pytest.fixture
    def store(self):
        store = open_store()
        yield store
        store.close()

    @pytest.fixture
    def connect(self):
        return _OwnConnection

    @pytest.fixture
    def make_tenant(self):
        def make() -> TenantKey:
            key = f"conformance-{next(self._serial)}"
            return TenantKey(Tenant.objects.create(key=key, name=key).key)

        return make
