"""Pages to sign in and out, and for passwords: Django's own views, with limits.

::

    urlpatterns = [..., path("account/", include("claimkit_django.accounts.page_urls"))]

Each page is a template in ``claimkit_accounts/`` that a host overrides by one of the same name.
They load nothing from elsewhere, run no script, and work with the strictest content policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model, views
from django.db import transaction
from django.http import HttpResponseRedirect
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache

from claimkit_django.accounts.attempts import Attempt
from claimkit_django.accounts.resets import MailForm, TokenGenerator, end_all, tell_tenants_of
from claimkit_django.conf import config
from claimkit_django.http.quotas import write_headers
from claimkit_django.tenants.directory import describe_actor
from claimkit_django.trail import acting

if TYPE_CHECKING:
    from django.forms import BaseForm
    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase

__all__ = [
    "ChangeDonePage",
    "ChangePage",
    "LoginPage",
    "LogoutPage",
    "ResetAskedPage",
    "ResetConfirmPage",
    "ResetDonePage",
    "ResetPage",
]

#: The link in a mail must not be told to other sites.
_REFERRER = "same-origin"


class LoginPage(views.LoginView):
    """Sign in; the session gets a new key, and attempts are limited by account and network."""

    template_name = "claimkit_accounts/login.html"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Try to sign in, or say when to try again."""
        name = get_user_model().USERNAME_FIELD
        attempt = Attempt.sign_in(request, request.POST.get("username", request.POST.get(name, "")))
        self._attempt = attempt
        if not attempt.allowed:
            return _refused(self, attempt)
        answer = super().post(request, *args, **kwargs)
        return _limited(answer, attempt)

    def form_valid(self, form: Any) -> HttpResponse:
        """Sign in."""
        answer = super().form_valid(form)
        self._attempt.succeed()
        user = form.get_user()
        with acting(describe_actor(self.request, user, via="password")):
            tell_tenants_of(user, "session.began")
        return answer


class LogoutPage(views.LogoutView):
    """Sign out, by POST only; says good-bye to whoever it was."""

    template_name = "claimkit_accounts/signed_out.html"
    http_method_names = ["post", "options"]  # noqa: RUF012 - Django's own type

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Forget the session, and what browsers keep of it."""
        tenant = getattr(request, "claimkit_tenant", None)
        user = request.user
        # What the page may still say after the session is gone.
        self.extra_context = {
            "person": user.get_username() if user.is_authenticated else "",
            "tenant_name": tenant.name if tenant is not None else "",
        }
        answer = super().post(request, *args, **kwargs)
        if request.is_secure():
            answer.headers["Clear-Site-Data"] = '"cache", "storage"'
        return answer


@method_decorator(never_cache, name="dispatch")
class ResetPage(views.PasswordResetView):
    """Ask for a mail; the answer is the same whether there is such an account or not."""

    template_name = "claimkit_accounts/password_reset_form.html"
    email_template_name = "claimkit_accounts/reset_mail.txt"
    html_email_template_name = "claimkit_accounts/reset_mail.html"
    subject_template_name = "claimkit_accounts/reset_subject.txt"
    success_url = reverse_lazy("claimkit_accounts:password_reset_done")
    form_class = MailForm
    token_generator = TokenGenerator()

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Take one of the mails that may be asked for, or say when to ask again."""
        attempt = Attempt.reset(request, request.POST.get("email", ""))
        if not attempt.allowed:
            return _refused(self, attempt)
        return _limited(super().post(request, *args, **kwargs), attempt)

    def form_valid(self, form: Any) -> HttpResponse:
        """Have the mail sent, and go on."""
        form.save(
            domain_override=config().accounts.domain or self.request.get_host(),
            use_https=self.request.is_secure(),
            token_generator=self.token_generator,
            from_email=self.from_email,
            email_template_name=self.email_template_name,
            subject_template_name=self.subject_template_name,
            html_email_template_name=self.html_email_template_name,
            extra_email_context={
                "hours": config().accounts.reset_hours,
                **(self.extra_email_context or {}),
            },
        )
        return HttpResponseRedirect(str(self.get_success_url()))


@method_decorator(never_cache, name="dispatch")
class ResetAskedPage(views.PasswordResetDoneView):
    """Says that a mail is on its way if there is such an account."""

    template_name = "claimkit_accounts/password_reset_done.html"


class ResetConfirmPage(views.PasswordResetConfirmView):
    """Choose a new password; other sessions and all API tokens of the person end."""

    template_name = "claimkit_accounts/password_reset_confirm.html"
    success_url = reverse_lazy("claimkit_accounts:password_reset_complete")
    token_generator = TokenGenerator()

    def dispatch(self, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Keep the link to oneself."""
        answer: HttpResponseBase = super().dispatch(*args, **kwargs)
        answer.headers["Referrer-Policy"] = _REFERRER
        return answer

    def form_valid(self, form: Any) -> HttpResponse:
        """Keep the new password, and end what the old one let in."""
        answer = super().form_valid(form)
        user = form.user
        with acting(describe_actor(self.request, user, via="reset link")):
            end_all(user, "password.reset")
        return answer


@method_decorator(never_cache, name="dispatch")
class ResetDonePage(views.PasswordResetCompleteView):
    """Says that the new password holds."""

    template_name = "claimkit_accounts/password_reset_complete.html"


@method_decorator(never_cache, name="dispatch")
class ChangePage(views.PasswordChangeView):
    """Change one's own password; other sessions and all API tokens of the person end.

    Whoever sits at a session that was left open does not know the old password: tries of it are
    counted with the attempts to sign in to the account.
    """

    template_name = "claimkit_accounts/password_change_form.html"
    success_url = reverse_lazy("claimkit_accounts:password_change_done")

    def post(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponse:
        """Try the old password, or say when to try again."""
        attempt = Attempt.sign_in(request, request.user.get_username())
        if not attempt.allowed:
            return _refused(self, attempt)
        form = self.get_form()
        is_valid = form.is_valid()
        if "old_password" not in form.errors:
            # It was the person, whatever is wrong with the new one.
            attempt.succeed()
        return _limited(self.form_valid(form) if is_valid else self.form_invalid(form), attempt)

    def form_valid(self, form: Any) -> HttpResponse:
        """Keep the new password and this session, under a new key, and end all else."""
        user = form.user
        with (
            transaction.atomic(using=user._state.db),
            acting(describe_actor(self.request, user, via="password")),
        ):
            answer = super().form_valid(form)
            end_all(user, "password.changed")
        return answer


@method_decorator(never_cache, name="dispatch")
class ChangeDonePage(views.PasswordChangeDoneView):
    """Says that the password was changed, and what ended with the old one."""

    template_name = "claimkit_accounts/password_change_done.html"


def _limited(answer: HttpResponse, attempt: Attempt) -> HttpResponse:
    if attempt.verdict is not None:
        write_headers(answer, attempt.verdict)
    return answer


def _refused(view: Any, attempt: Attempt) -> HttpResponse:
    """Return the page again, with when to come back: the same for every name."""
    form: BaseForm = view.get_form()
    verdict = attempt.verdict
    minutes = max(1, -(-(verdict.wait_seconds if verdict else 0) // 60))
    told = ngettext(
        "Too many attempts. Try again in %(minutes)d minute.",
        "Too many attempts. Try again in %(minutes)d minutes.",
        minutes,
    ) % {"minutes": minutes}
    # Not validated: whether the password was right is nobody's business now.
    form.is_bound = False
    answer: HttpResponse = view.render_to_response(
        view.get_context_data(form=form, refused=told), status=429
    )
    return _limited(answer, attempt)
