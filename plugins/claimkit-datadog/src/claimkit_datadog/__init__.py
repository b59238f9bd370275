"""claimkit is traced and counted in Datadog with this plugin, and nothing of a patient."""

from claimkit_datadog.plugin import start

__all__ = ["__version__", "start"]

__version__ = "0.1.0"
