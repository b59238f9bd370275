"""The chain by itself: any change of any link shows, and nothing else does."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimkit.audit import BEGINNING, Break, Head, Link, make_link, verify

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
ENTRIES = st.lists(st.dictionaries(st.text(max_size=5), _JSON, max_size=4), max_size=6)


def make_chain(entries):
    links, head = [], Head()
    for entry in entries:
        links.append(make_link(head, entry))
        head = Head(number=links[-1].number, digest=links[-1].digest)
    return links, head


@given(ENTRIES)
def test_a_chain_holds_as_it_was_made(entries):
    links, head = make_chain(entries)

    assert verify(iter(links)) == (head, None)
    assert verify(links, head) == (head, None)


@given(ENTRIES.filter(bool), st.data())
def test_an_entry_that_was_changed_is_named(entries, data):
    links, _ = make_chain(entries)
    at = data.draw(st.integers(0, len(links) - 1))
    other = data.draw(st.dictionaries(st.text(max_size=5), _JSON, max_size=4))
    one = links[at]
    links[at] = Link(number=one.number, digest=one.digest, entry=other)
    _, broken = verify(links)

    assert (broken is None) == (make_link(Head(), other) == make_link(Head(), one.entry))
    assert broken is None or broken == Break(number=at + 1, reason="changed")


@given(ENTRIES.filter(lambda one: len(one) > 1), st.data())
def test_links_that_are_missing_or_moved_are_named(entries, data):
    links, head = make_chain(entries)
    at = data.draw(st.integers(0, len(links) - 2))

    assert verify(links[:at] + links[at + 1 :])[1] == Break(number=at + 1, reason="missing")
    swapped = [*links[:at], links[at + 1], links[at], *links[at + 2 :]]
    assert verify(swapped)[1].number == at + 1
    assert verify(links[: at + 1], head)[1] == Break(number=at + 2, reason="cut_off")


def test_an_entry_that_is_gone_is_named():
    links, _ = make_chain([{"n": 1}, {"n": 2}])
    links[1] = Link(number=2, digest=links[1].digest, entry=None)

    assert verify(links)[1] == Break(number=2, reason="entry_missing")


def test_an_anchor_that_is_not_on_the_chain_is_named():
    links, _ = make_chain([{"n": 1}, {"n": 2}])

    assert verify(links, Head(number=1, digest=BEGINNING))[1].reason == "changed"


def test_an_instant_is_the_same_in_every_zone():
    utc = dt.datetime(2026, 4, 12, 9, 30, tzinfo=dt.UTC)
    chicago = utc.astimezone(dt.timezone(dt.timedelta(hours=-5)))

    assert make_link(Head(), {"at": utc}) == make_link(Head(), {"at": chicago}) or (
        make_link(Head(), {"at": utc}).digest == make_link(Head(), {"at": chicago}).digest
    )


def test_what_json_has_not_is_refused():
    with pytest.raises(TypeError, match="bytes"):
        make_link(Head(), {"secret": b"tapirs"})
