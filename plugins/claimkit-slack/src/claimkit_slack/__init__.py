"""claimkit tells alerts in Slack with this plugin."""

__version__ = "0.1.0"
