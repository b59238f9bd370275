from __future__ import annotations

import pytest

from claimkit.webhooks.signing import HOP
from claimkit_django.http.hops import has_come_back, site_id


def test_a_site_knows_itself_and_tells_no_secret(settings):
    mine = site_id()

    assert has_come_back({HOP: mine})
    assert (len(mine), mine.isalnum()) == (32, True)
    assert settings.SECRET_KEY not in mine


def test_another_site_is_another(settings):
    mine = site_id()
    settings.SECRET_KEY = "marsupilami" * 5

    assert site_id() != mine
    assert not has_come_back({HOP: mine})
    settings.SECRET_KEY_FALLBACKS = ["houba", "django-insecure"]
    assert not has_come_back({HOP: mine})


def test_a_former_secret_still_tells(settings):
    mine, former = site_id(), settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "marsupilami" * 5, [former]

    assert has_come_back({HOP: mine})


@pytest.mark.parametrize("others", ["{},a1", "a1, {}", "a1,{} ,b2"])
def test_those_who_pass_it_on_add_themselves(others):
    assert has_come_back({HOP: others.format(site_id())})


@pytest.mark.parametrize("junk", ["", ",", "é", "x" * 9_999, "a," * 5_000])
def test_junk_did_not_come_from_here(junk):
    assert not has_come_back({HOP: junk})


def test_without_the_header_nothing_came_back():
    assert not has_come_back({})
