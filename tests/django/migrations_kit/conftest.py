"""A table of a hundred thousand rows, or a few, and operations on it."""

from __future__ import annotations

import pytest
from django.db import connection, migrations, models
from django.db.migrations.state import ProjectState

from tests.projects.database import ROW_LEVEL_SECURITY

TABLE = "worklists_case"


class Worklist:
    """The table of an application, as its migrations see it."""

    def __init__(self):
        self.state = ProjectState()
        self._last = self.state

    def apply(self, *operations, atomic=False):
        self._last = self.state
        migration = self._migration(operations, atomic)
        with connection.schema_editor(atomic=atomic) as editor:
            self.state = migration.apply(self.state.clone(), editor)
        return self

    def unapply(self, *operations):
        with connection.schema_editor(atomic=False) as editor:
            self.state = self._migration(operations, False).unapply(self._last.clone(), editor)

    def sql_of(self, *operations):
        with connection.schema_editor(collect_sql=True, atomic=False) as editor:
            self._migration(operations, False).apply(self.state.clone(), editor, collect_sql=True)
        return "\n".join(editor.collected_sql)

    def fill(self, rows):
        """Insert rows with names that begin alike, which take their time to compare."""
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {TABLE} (number, name, priority)"
                " SELECT n, 'a common beginning ' || md5(n::text), n %% 5"
                " FROM generate_series(1, %s) AS n",
                [rows],
            )
            cursor.execute(f"ANALYZE {TABLE}")

    def write(self, **values):
        return self.model.objects.create(**values)

    @property
    def model(self):
        return self.state.apps.get_model("worklists", "Case")

    @staticmethod
    def _migration(operations, atomic):
        migration = migrations.Migration("0002_try", "worklists")
        migration.operations = list(operations)
        migration.atomic = atomic
        return migration

    @classmethod
    def make(cls):
        return cls().apply(
            migrations.CreateModel(
                "Case",
                [
                    ("id", models.BigAutoField(primary_key=True)),
                    ("number", models.IntegerField()),
                    ("name", models.TextField()),
                    ("priority", models.IntegerField(null=True)),
                ],
                options={"db_table": TABLE},
            )
        )

    @classmethod
    def make_again(cls):
        cls.drop()
        return cls.make()

    @staticmethod
    def drop():
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {TABLE}")


@pytest.fixture(autouse=True)
def _owner():
    if ROW_LEVEL_SECURITY:
        pytest.skip("the application's role owns no table")


@pytest.fixture
def worklist(transactional_db):
    yield Worklist.make()
    Worklist.drop()


@pytest.fixture
def postgres():
    if connection.vendor != "postgresql":
        pytest.skip("locks and concurrent builds are PostgreSQL's")
