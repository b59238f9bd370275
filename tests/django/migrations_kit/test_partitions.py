"""A log is cut by month while it is in use; it keeps its rows, its walls and its names."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import (
    DEFAULT_DB_ALIAS as USING,
)
from django.db import (
    IntegrityError,
    NotSupportedError,
    connection,
    migrations,
    models,
    transaction,
)
from django.utils import timezone

from claimkit_django.migrations_kit import (
    AddConstraintSafely,
    AddIndexSafely,
    PartitionByMonth,
    Patiently,
    RemoveIndexSafely,
)
from claimkit_django.migrations_kit.partitions import add_months, drop_month, months_of
from claimkit_django.testing.traffic import LiveTraffic

TABLE = "worklists_case"
NOW = dt.datetime(2026, 3, 31, 23, 59, tzinfo=dt.UTC)
CUT = PartitionByMonth("Case", "at", widen=["case_number_once"])
INDEX = models.Index(fields=["number", "-at"], name="case_by_number")


@pytest.fixture
def log(worklist, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    return as_log(worklist)


def as_log(worklist):
    return worklist.apply(
        migrations.AddField("Case", "at", models.DateTimeField(default=NOW)),
        migrations.AddConstraint(
            "Case", models.UniqueConstraint(fields=["number"], name="case_number_once")
        ),
        migrations.AddConstraint(
            "Case", models.CheckConstraint(condition=models.Q(number__gt=0), name="case_number")
        ),
        migrations.AddIndex("Case", models.Index(fields=["-at"], name="case_latest")),
    )


def write(log, *numbers, at=NOW):
    return [log.write(number=one, name=str(one), at=at) for one in numbers]


def query(text):
    with connection.cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchall()


def rows_in(table):
    return query(f'SELECT count(*) FROM "{table}"')[0][0]


@pytest.mark.usefixtures("postgres")
class TestPartitionByMonth:
    def test_keeps_what_is_there_and_goes_on_counting(self, log):
        old = write(log, 1, 2, 3)

        log.apply(CUT)

        assert list(log.model.objects.order_by("id").values_list("number", flat=True)) == [1, 2, 3]
        assert write(log, 4)[0].pk == old[-1].pk + 1
        assert log.model.objects.get(pk=old[0].pk).name == "1"

    def test_each_row_goes_into_its_month(self, log):
        write(log, 1)
        log.apply(CUT)

        write(log, 2, at=dt.datetime(2026, 4, 30, 23, 59, 59, tzinfo=dt.UTC))
        write(log, 3, at=dt.datetime(2026, 5, 1, tzinfo=dt.UTC))
        write(log, 4, at=dt.datetime(2031, 1, 1, tzinfo=dt.UTC))

        months = {one.table: rows_in(one.table) for one in months_of(TABLE, USING)}
        assert months == {
            f"{TABLE}_past": 2,
            f"{TABLE}_2026_05": 1,
            f"{TABLE}_2026_06": 0,
            f"{TABLE}_rest": 1,
        }

    def test_rules_and_indexes_keep_their_names_and_hold(self, log):
        write(log, 1)
        log.apply(CUT)

        for wrong in (0, 1):
            with pytest.raises(IntegrityError), transaction.atomic():
                write(log, wrong)

        with connection.cursor() as cursor:
            there = connection.introspection.get_constraints(cursor, TABLE)
        assert there["case_number_once"]["columns"] == ["number", "at"]
        assert {"case_number", "case_latest"} <= set(there)
        assert there[f"{TABLE}_pkey"]["columns"] == ["id", "at"]

    def test_later_migrations_work_on_it(self, log):
        write(log, 1)
        log.apply(CUT)
        log.apply(
            Patiently(migrations.AddField("Case", "owner", models.TextField(null=True))),
            AddConstraintSafely(
                "Case", models.CheckConstraint(condition=~models.Q(owner=""), name="case_owner")
            ),
            AddIndexSafely("Case", INDEX),
        )

        with pytest.raises(IntegrityError), transaction.atomic():
            log.write(number=9, name="9", at=NOW, owner="")
        valid = query(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'case_by_number'::regclass"
        )
        assert valid == [(True,)]
        log.apply(AddIndexSafely("Case", models.Index(fields=["name"], name="case_by_name")))
        log.apply(RemoveIndexSafely("Case", "case_by_number"))
        assert query("SELECT to_regclass('case_by_number')") == [(None,)]

    def test_again_makes_the_months_that_are_missing(self, log, monkeypatch):
        log.apply(CUT)
        monkeypatch.setattr(timezone, "now", lambda: NOW + dt.timedelta(days=40))

        log.apply(CUT)

        assert [one.table for one in months_of(TABLE, USING)][1:-1] == [
            f"{TABLE}_2026_{month:02}" for month in (5, 6, 7, 8)
        ]

    def test_goes_on_after_it_was_killed(self, log):
        write(log, 1)
        query_less(f"ALTER TABLE {TABLE} ADD CONSTRAINT {TABLE}_past_bound"
                   " CHECK (at < '2000-01-01') NOT VALID")  # fmt: skip

        log.apply(CUT)

        assert rows_in(TABLE) == 1

    def test_refuses_what_partitions_could_not_keep(self, log):
        with pytest.raises(NotSupportedError, match="case_number_once is unique without at"):
            log.apply(PartitionByMonth("Case", "at"))
        with pytest.raises(NotSupportedError, match="no unique constraint case_nothing"):
            log.apply(PartitionByMonth("Case", "at", widen=["case_number_once", "case_nothing"]))
        log.apply(
            migrations.CreateModel(
                "Note",
                [
                    ("id", models.BigAutoField(primary_key=True)),
                    ("case", models.ForeignKey("worklists.Case", models.CASCADE)),
                ],
                options={"db_table": "worklists_note"},
            ),
            atomic=True,
        )
        with pytest.raises(NotSupportedError, match="rows of worklists_note refer to its rows"):
            log.apply(CUT)
        log.apply(migrations.DeleteModel("Note"))
        assert months_of(TABLE, USING) == []

    def test_rows_of_the_future_are_refused_and_the_table_goes_on(self, log):
        ahead = NOW + dt.timedelta(days=400)
        write(log, 1, at=ahead)

        with pytest.raises(NotSupportedError, match="it has rows of 2026-05-01 or later"):
            log.apply(CUT)

        assert write(log, 2, at=ahead)
        assert months_of(TABLE, USING) == []

    def test_refuses_a_transaction_and_a_nullable_column(self, log):
        with pytest.raises(NotSupportedError, match="cannot run in a transaction"):
            log.apply(CUT, atomic=True)
        log.apply(migrations.AddField("Case", "due", models.DateField(null=True)))
        with pytest.raises(NotSupportedError, match="due may be NULL"):
            log.apply(PartitionByMonth("Case", "due", widen=["case_number_once"]))

    def test_cannot_be_undone_by_migrate(self, log):
        log.apply(CUT)

        with pytest.raises(migrations.exceptions.IrreversibleError):
            log.unapply(CUT)


@pytest.mark.usefixtures("postgres")
class TestMonths:
    def test_a_month_goes_at_once(self, log):
        write(log, 1)
        log.apply(CUT)
        write(log, 2, at=dt.datetime(2026, 5, 3, tzinfo=dt.UTC))
        past = months_of(TABLE, USING)[0]

        drop_month(TABLE, past, using=USING)

        assert list(log.model.objects.values_list("number", flat=True)) == [2]
        assert past not in months_of(TABLE, USING)

    def test_what_has_no_month_stays(self, log):
        log.apply(CUT)

        with pytest.raises(ValueError, match="_rest holds what has no month of its own"):
            drop_month(TABLE, months_of(TABLE, USING)[-1], using=USING)

    def test_a_month_that_has_rows_elsewhere_is_left_out(self, log):
        log.apply(CUT)
        write(log, 1, at=dt.datetime(2026, 8, 5, tzinfo=dt.UTC))

        made = add_months(TABLE, ahead=6, using=USING)

        assert [one.table[-7:] for one in made] == ["2026_07", "2026_09"]
        assert [(one.first, one.until) for one in made][1] == (
            dt.date(2026, 9, 1),
            dt.date(2026, 10, 1),
        )

    def test_a_whole_table_has_none(self, log):
        assert months_of(TABLE, USING) == []
        assert add_months(TABLE, using=USING) == []


def query_less(text):
    with connection.cursor() as cursor:
        cursor.execute(text)


def test_other_databases_keep_the_table_whole(log):
    if connection.vendor == "postgresql":
        pytest.skip("PostgreSQL cuts it")
    write(log, 1)

    log.apply(CUT)

    assert log.model.objects.count() == 1
    assert months_of(TABLE, USING) == []


ROWS = 100_000
TRAFFIC = [
    f"SELECT count(*) FROM {TABLE} WHERE id BETWEEN 5000 AND 5050",
    f"INSERT INTO {TABLE} (number, name, priority, at)"
    " VALUES (1000000 + (random() * 2000000000)::int, 'x', 1, '2026-04-01')",
    f"UPDATE {TABLE} SET name = 'y' WHERE id = (SELECT 1 + (random() * 90000)::int)",
]
#: What it replaces: the rows go into a new table while the old one is held.
COPY = [
    f"LOCK TABLE {TABLE}",
    f"ALTER TABLE {TABLE} RENAME TO case_old",
    f"CREATE TABLE {TABLE} (LIKE case_old INCLUDING DEFAULTS INCLUDING IDENTITY)"
    " PARTITION BY RANGE (at)",
    f"CREATE TABLE case_rest PARTITION OF {TABLE} DEFAULT",
    f"INSERT INTO {TABLE} OVERRIDING SYSTEM VALUE SELECT * FROM case_old",
    f"CREATE UNIQUE INDEX ON {TABLE} (id, at)",
    f"SELECT setval(pg_get_serial_sequence('{TABLE}', 'id'), 10000000)",
    "DROP TABLE case_old",
]


@pytest.mark.slow
@pytest.mark.usefixtures("postgres")
class TestUnderTraffic:
    @staticmethod
    def longest(log, rows, cut, *, atomic=False):
        query_less(
            f"INSERT INTO {TABLE} (number, name, priority, at) SELECT n, md5(n::text), 1,"
            f" '2026-03-01'::timestamptz + n * interval '1 second' FROM generate_series(1, {rows}) n"
        )
        with LiveTraffic(TRAFFIC) as running:
            log.apply(cut, atomic=atomic)
        assert running.errors == []
        assert rows_in(TABLE) > rows
        return running.longest_ms

    def test_nobody_waits_while_a_table_is_cut(self, log):
        # Noise of a shared machine can only add: the best of a few counts.
        for _ in range(4):
            longest = self.longest(log, ROWS, CUT)
            if longest <= 100:
                break
            log = as_log(log.make_again())

        assert longest <= 100

    def test_the_naive_form_holds_everybody_up(self, log):
        longest = self.longest(log, 5 * ROWS, migrations.RunSQL(COPY), atomic=True)

        assert longest > 100
