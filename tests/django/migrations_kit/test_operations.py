"""Operations of the kit: the same schema on every database, and no trace of a kill."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import (
    DatabaseError,
    IntegrityError,
    NotSupportedError,
    connection,
    connections,
    migrations,
    models,
)
from django.db.migrations.writer import MigrationWriter
from django.db.models import F, Q

from claimkit_django.migrations_kit import (
    AddConstraintSafely,
    AddIndexSafely,
    AddTenantPolicy,
    Backfill,
    LockNotObtained,
    Patience,
    Patiently,
    RemoveConstraintSafely,
    RemoveIndexSafely,
)

UNIQUE = models.UniqueConstraint(fields=["number"], name="case_number_once")
PARTIAL = models.UniqueConstraint(
    fields=["number"], condition=Q(priority=1), name="case_urgent_once"
)
CHECK = models.CheckConstraint(condition=Q(priority__gte=1), name="case_priority_range")
INDEX = models.Index(fields=["number"], name="case_by_number")


def is_refused(worklist, **values):
    try:
        worklist.write(**values)
    except IntegrityError:
        return True
    return False


def constraints():
    with connection.cursor() as cursor:
        return connection.introspection.get_constraints(cursor, "worklists_case")


@pytest.mark.parametrize("constraint", [UNIQUE, PARTIAL, CHECK], ids=lambda one: one.name)
def test_a_constraint_comes_and_goes(worklist, constraint):
    worklist.write(number=1, name="marsupilami", priority=1)
    twin = {"number": 1, "name": "spirou", "priority": 0 if constraint is CHECK else 1}
    add = AddConstraintSafely("case", constraint)

    worklist.apply(add)
    assert constraint.name in constraints()
    assert is_refused(worklist, **twin)
    worklist.unapply(add)
    assert constraint.name not in constraints()
    worklist.apply(add)
    worklist.apply(RemoveConstraintSafely("case", constraint.name))
    assert constraint.name not in constraints()
    assert not is_refused(worklist, **twin)


def test_a_removed_constraint_comes_back(worklist):
    worklist.apply(AddConstraintSafely("case", UNIQUE))
    remove = RemoveConstraintSafely("case", "case_number_once")

    worklist.apply(remove)
    worklist.unapply(remove)

    assert "case_number_once" in constraints()


def test_an_index_comes_and_goes(worklist):
    add, remove = AddIndexSafely("case", INDEX), RemoveIndexSafely("case", "case_by_number")

    worklist.apply(add)
    assert "case_by_number" in constraints()
    worklist.unapply(add)
    assert "case_by_number" not in constraints()
    worklist.apply(add)
    worklist.apply(remove)
    assert "case_by_number" not in constraints()
    worklist.unapply(remove)
    assert "case_by_number" in constraints()


def test_a_field_comes_patiently(worklist):
    add = Patiently(migrations.AddField("case", "owner", models.TextField(default="nobody")))
    worklist.write(number=1, name="marsupilami")

    worklist.apply(add)
    assert worklist.model.objects.get().owner == "nobody"
    worklist.unapply(add)
    assert not hasattr(worklist.model.objects.get(), "owner")


def test_a_backfill_leaves_no_row_out(worklist):
    for number in range(25):
        worklist.write(number=number, name="marsupilami", priority=None if number % 2 else 7)

    worklist.apply(
        Backfill(
            "case",
            where=Q(priority__isnull=True),
            values={"priority": F("number")},
            batch_size=4,
            pause_seconds=0,
        )
    )

    rows = worklist.model.objects.order_by("number").values_list("number", "priority")
    assert list(rows) == [(n, n if n % 2 else 7) for n in range(25)]


def test_a_backfill_whose_condition_stays_true_is_refused(worklist):
    worklist.write(number=1, name="marsupilami", priority=1)

    with pytest.raises(ValueError, match="the condition holds for rows that are done"):
        worklist.apply(Backfill("case", where=Q(priority__gt=0), values={"priority": 2}))

    assert worklist.model.objects.get().priority == 1


@pytest.mark.parametrize(
    "operation",
    [
        AddConstraintSafely("case", CHECK),
        RemoveConstraintSafely("case", "case_priority_range"),
        AddIndexSafely("case", INDEX),
        RemoveIndexSafely("case", "case_by_number"),
        AddTenantPolicy("case"),
        Backfill("case", where=Q(priority=None), values={"priority": 1}),
        Patiently(migrations.RemoveField("case", "priority")),
    ],
    ids=lambda one: type(one).__name__,
)
def test_operations_can_be_written_into_a_migration(operation):
    migration = migrations.Migration("0002_try", "worklists")
    migration.operations = [operation]
    namespace = {}

    exec(MigrationWriter(migration).as_string(), namespace)

    again = namespace["Migration"].operations[0]
    assert again.describe() == operation.describe()
    assert again.reversible


def test_a_transaction_is_refused(postgres, worklist):
    for operation in (
        AddConstraintSafely("case", CHECK),
        AddIndexSafely("case", INDEX),
        Patiently(migrations.AddField("case", "owner", models.TextField(null=True))),
        Backfill("case", where=Q(priority=None), values={"priority": 1}),
    ):
        with pytest.raises(NotSupportedError, match="atomic = False"):
            worklist.apply(operation, atomic=True)


def test_sqlmigrate_shows_the_phases(postgres, worklist):
    told = worklist.sql_of(
        AddConstraintSafely("case", UNIQUE),
        AddConstraintSafely("case", CHECK),
        AddIndexSafely("case", INDEX),
    )

    phases = [
        "CREATE UNIQUE INDEX CONCURRENTLY",
        "UNIQUE USING INDEX",
        "NOT VALID",
        "VALIDATE CONSTRAINT",
        "CREATE INDEX CONCURRENTLY",
    ]
    assert [told.index(phase) for phase in phases] == sorted(map(told.index, phases))
    assert constraints().keys() == {"worklists_case_pkey"} | {
        name for name in constraints() if "not_null" in name
    }


def test_an_invalid_index_is_built_anew(postgres, worklist):
    """What a kill leaves behind, made by cancelling the build as a kill does."""
    worklist.write(number=1, name="marsupilami")
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX case_by_number ON worklists_case (number)")
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'case_by_number'::regclass"
        )

    worklist.apply(AddIndexSafely("case", INDEX))

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'case_by_number'::regclass"
        )
        assert cursor.fetchone() == (True,)


def test_equal_keys_leave_no_index_behind(postgres, worklist):
    worklist.write(number=1, name="marsupilami")
    worklist.write(number=1, name="spirou")

    with pytest.raises(IntegrityError):
        worklist.apply(AddConstraintSafely("case", UNIQUE))

    assert "case_number_once" not in constraints()


@pytest.mark.parametrize(
    "left_behind",
    [
        "CREATE UNIQUE INDEX case_number_once ON worklists_case (number)",
        "ALTER TABLE worklists_case ADD CONSTRAINT case_number_once UNIQUE (number)",
    ],
)
def test_a_unique_constraint_goes_on_where_it_stopped(postgres, worklist, left_behind):
    with connection.cursor() as cursor:
        cursor.execute(left_behind)

    worklist.apply(AddConstraintSafely("case", UNIQUE))

    with connection.cursor() as cursor:
        cursor.execute("SELECT contype::text FROM pg_constraint WHERE conname = 'case_number_once'")
        assert cursor.fetchall() == [("u",)]


@pytest.mark.parametrize("validated", ["", " NOT VALID"])
def test_a_check_goes_on_where_it_stopped(postgres, worklist, validated):
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE worklists_case ADD CONSTRAINT case_priority_range"
            f" CHECK (priority >= 1){validated}"
        )

    worklist.apply(AddConstraintSafely("case", CHECK))

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT convalidated FROM pg_constraint WHERE conname = 'case_priority_range'"
        )
        assert cursor.fetchall() == [(True,)]


def test_a_check_that_rows_break_is_told(postgres, worklist):
    worklist.write(number=1, name="marsupilami", priority=0)

    with pytest.raises(IntegrityError, match="case_priority_range"):
        worklist.apply(AddConstraintSafely("case", CHECK))


class Holder:
    """Another session that holds the table's lock until told otherwise."""

    def __init__(self):
        self._held, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def __enter__(self):
        self._thread.start()
        self._held.wait()
        return self

    def __exit__(self, *_error):
        self.let_go()

    def let_go(self):
        self._ended.set()
        self._thread.join()

    def _hold(self):
        other = connections["default"]
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE worklists_case IN ACCESS SHARE MODE")
        self._held.set()
        self._ended.wait(30)
        other.rollback()
        other.close()


def test_a_lock_is_asked_for_until_it_is_free(postgres, worklist):
    with Holder() as holder:
        timer = threading.Timer(0.3, holder.let_go)
        timer.start()
        started = time.monotonic()
        worklist.apply(AddConstraintSafely("case", CHECK))
        timer.join()

    assert time.monotonic() - started >= 0.25
    assert "case_priority_range" in constraints()


def test_a_lock_that_is_never_free_is_given_up(postgres, worklist):
    def drop():
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE worklists_case DROP COLUMN priority")

    with Holder(), pytest.raises(LockNotObtained, match="pg_stat_activity"):
        Patience(lock_timeout_ms=10, give_up_seconds=0.1).run("default", drop)

    assert worklist.write(number=1, name="marsupilami", priority=1).priority == 1


def test_other_errors_are_not_tried_again(postgres, worklist):
    tries = []

    def fail():
        tries.append(1)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")

    with pytest.raises(DatabaseError, match="division by zero"):
        Patience().run("default", fail)

    assert len(tries) == 1
