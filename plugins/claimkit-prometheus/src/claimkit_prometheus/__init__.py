"""claimkit counts its events for Prometheus with this plugin."""

from claimkit_prometheus.plugin import push, start

__all__ = ["__version__", "push", "start"]

__version__ = "0.1.0"
