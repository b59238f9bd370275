"""The ops room: health, metrics and logs of a site."""
