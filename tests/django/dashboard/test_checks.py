from __future__ import annotations

import pytest

from claimkit_django.dashboard import checks


def ids(found):
    return [one.id for one in found]


def test_a_site_that_adopted_it_has_nothing_to_mend():
    assert checks.check_settings() == []
    assert checks.check_site() == []
    assert checks.check_templates() == []


@pytest.mark.parametrize("values", [{"PAGE_SIZE": 0}, {"PAGE_SIZE": 501}, {"POLL_SECONDS": 0}])
def test_numbers_out_of_range_are_told(settings, values):
    settings.CLAIMKIT = {"DASHBOARD": values}

    (found,) = checks.check_settings()

    assert found.id == "claimkit_dashboard.E001"
    assert next(iter(values)) in found.msg
    assert "whole number from 1" in found.hint


def test_what_pages_build_on_is_named_where_it_is_missing(settings):
    settings.MIDDLEWARE = [one for one in settings.MIDDLEWARE if "Message" not in one]

    (found,) = checks.check_site()

    assert found.id == "claimkit_dashboard.E002"
    assert found.hint == (
        "Add 'django.contrib.messages.middleware.MessageMiddleware' to MIDDLEWARE."
    )


def test_templates_that_do_not_know_the_person_are_told(settings):
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "OPTIONS": {}}]

    assert ids(checks.check_templates()) == ["claimkit_dashboard.W001"]
