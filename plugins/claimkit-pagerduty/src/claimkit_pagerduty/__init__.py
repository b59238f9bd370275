"""claimkit opens and resolves alerts in PagerDuty with this plugin."""

__version__ = "0.1.0"
