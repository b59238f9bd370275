"""The setting ``CLAIMKIT``, mapped lazily onto the core's configuration."""

from __future__ import annotations

import functools
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from claimkit.config import Config
from claimkit.errors import ConfigError

__all__ = ["config", "read_config"]

_SETTING = "CLAIMKIT"


def read_config() -> Config:
    """Read ``settings.CLAIMKIT`` anew.

    Raises:
        ConfigError: the setting is not usable; the message names the key.
    """
    mapping = getattr(settings, _SETTING, {})
    if not isinstance(mapping, dict):
        raise ConfigError(f"{_SETTING} must be a dict, not {type(mapping).__name__}")
    return Config.from_mapping(mapping)


@functools.cache
def _cached_config() -> Config:
    try:
        return read_config()
    except ConfigError as error:
        raise ImproperlyConfigured(f"{_SETTING}: {error}") from error


def config() -> Config:
    """Return this process's configuration; read once, and again when a test changes the setting.

    Raises:
        ImproperlyConfigured: the setting is not usable.
    """
    return _cached_config()


def _forget(*, setting: str, **_kwargs: Any) -> None:
    if setting == _SETTING:
        _cached_config.cache_clear()


setting_changed.connect(_forget, dispatch_uid="claimkit_config")
