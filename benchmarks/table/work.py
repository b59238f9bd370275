"""What one measurement works on, and its watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cpu import Server, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from site_of_requests import Site


class Work:
    """The site, the file and the watch of one measurement."""

    def __init__(self, url: str, file: Path, postmaster: str) -> None:
        self.file = file
        self._server = Server(int(postmaster) if url.startswith("postgres") else None)
        if url:
            from site_of_requests import configure

            configure(url)

    def site(self) -> Site:
        from site_of_requests import Site

        from claimkit_django.claims.models import Claim

        site = Site()
        site.look_up(Claim.unscoped.count())
        return site

    def timed(self, units: float, act: Callable[[], object]) -> dict[str, float]:
        watch = Stopwatch(self._server)
        act()
        told = watch.read()
        return {"units": units, "client": told["client"], "server": told["server"]}
