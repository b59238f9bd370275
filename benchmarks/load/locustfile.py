"""People at work on a site: ten tasks, weighted as they come. ``LOAD_USER`` and ``LOAD_PASSWORD`` say who.

They sign in once, at ``LOAD_LOGIN`` (``/login/``), as people do: a password with every request
would measure nothing but how slowly passwords are hashed.
"""

from __future__ import annotations

import os
import random

from locust import HttpUser, constant_pacing, task


class Analyst(HttpUser):
    """Looks at claims mostly, at what changed often, and at the rest now and then."""

    wait_time = constant_pacing(float(os.environ.get("LOAD_PACING", "0")))

    def on_start(self) -> None:
        self.sign_in(os.environ.get("LOAD_LOGIN", "/login/"))
        self.claims: list[str] = []
        self.list_claims()

    def sign_in(self, page: str) -> None:
        self.client.get(page, name="sign in")
        told = {
            "username": os.environ["LOAD_USER"],
            "password": os.environ["LOAD_PASSWORD"],
            "csrfmiddlewaretoken": self.client.cookies.get("csrftoken", ""),
        }
        headers = {"Referer": f"{self.client.base_url}{page}"}
        with self.client.post(
            page, told, name="sign in", headers=headers, allow_redirects=False, catch_response=True
        ) as answer:
            if answer.status_code != 302:
                answer.failure(f"not signed in: status {answer.status_code}")

    def look(self, path: str, name: str = "", **query: str) -> object:
        with self.client.get(
            f"/api/v1/{path}", params=query, name=name or path, catch_response=True
        ) as answer:
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}")
                return {}
            return answer.json()

    @task(30)
    def list_claims(self) -> None:
        found = self.look("claims/")
        self.claims = [one["uid"] for one in found.get("results", [])] or self.claims

    @task(20)
    def look_at_a_claim(self) -> None:
        if self.claims:
            self.look(f"claims/{random.choice(self.claims)}/", "claims/{uid}/")

    @task(10)
    def search_claims(self) -> None:
        self.look("claims/", "claims/?outcome", outcome="denied")

    @task(10)
    def see_what_drifts(self) -> None:
        self.look("drift/active/")

    @task(8)
    def see_alerts(self) -> None:
        self.look("alerts/")

    @task(6)
    def see_uploads(self) -> None:
        self.look("uploads/")

    @task(5)
    def see_reports(self) -> None:
        self.look("reports/")

    @task(5)
    def see_runs(self) -> None:
        self.look("runs/")

    @task(3)
    def see_exports(self) -> None:
        self.look("exports/")

    @task(3)
    def begin(self) -> None:
        self.look("", "root")
