"""claimkit tells its errors to Sentry with this plugin, and nothing of a patient."""

from claimkit_sentry.plugin import start

__all__ = ["__version__", "start"]

__version__ = "0.1.0"
