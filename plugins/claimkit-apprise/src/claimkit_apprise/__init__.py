"""claimkit tells alerts by the services that Apprise knows with this plugin."""

__version__ = "0.1.0"
