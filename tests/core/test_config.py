from __future__ import annotations

import pytest

from claimkit.config import Config
from claimkit.errors import ConfigError


def test_defaults_need_no_settings():
    assert Config.from_mapping({}) == Config()


def test_names_may_be_upper_or_lower_case():
    upper = Config.from_mapping({"CLAIMS": {"BATCH_SIZE": 17}})
    lower = Config.from_mapping({"claims": {"batch_size": 17}})

    assert upper == lower
    assert upper.claims.batch_size == 17


def test_whole_numbers_do_for_fractions_and_lists_for_tuples():
    config = Config.from_mapping({"drift": {"budget": 1, "detectors": ["threshold"]}})

    assert config.drift.budget == 1.0
    assert config.drift.detectors == ("threshold",)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"DRFIT": {}}, "unknown room 'DRFIT'; did you mean 'drift'"),
        ({"DRIFT": {"bugdet": 1}}, r"unknown setting DRIFT\['bugdet'\]; did you mean 'budget'"),
        ({"DRIFT": {"budget": "much"}}, r"DRIFT\['budget'\] must be float, not str"),
        ({"DRIFT": {"budget": True}}, r"DRIFT\['budget'\] must be float, not bool"),
        ({"DRIFT": 3}, "DRIFT must be a mapping, not int"),
        ({"CLAIMS": {"batch_size": 1.5}}, "must be int, not float"),
    ],
)
def test_what_cannot_be_used_is_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        Config.from_mapping(settings)


def test_the_patient_key_never_shows():
    config = Config.from_mapping({"CLAIMS": {"patient_key": "marsupilami"}})

    assert config.claims.patient_key == "marsupilami"
    assert "marsupilami" not in repr(config)
