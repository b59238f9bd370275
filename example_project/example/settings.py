"""Settings of the example: a hospital group's Django site that adopts claimkit.

Everything it writes is in one folder, ``.demo/`` beside the repository's ``README``, or where
``CLAIMKIT_DEMO_DIR`` says. ``DATABASE_URL`` and ``REDIS_URL`` choose PostgreSQL and Redis; without
them SQLite and files do, so that nothing needs to be installed or running.
"""

from __future__ import annotations

import os
import secrets
import urllib.parse
from pathlib import Path

import django
from celery.schedules import crontab

PROJECT = Path(__file__).resolve().parent.parent
#: All that the site writes: database, uploads, queue, reports, its secret key.
DEMO_DIR = Path(os.environ.get("CLAIMKIT_DEMO_DIR") or PROJECT.parent / ".demo").resolve()
DEMO_DIR.mkdir(parents=True, exist_ok=True)


def _kept_secret(path: Path) -> str:
    """Return the secret in ``path``, made once: sessions survive a restart, and none is in Git."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii")
    with os.fdopen(file, "w", encoding="ascii") as made:
        made.write(secrets.token_urlsafe(50))
    return path.read_text(encoding="ascii")


def _database(url: str) -> dict[str, object]:
    """Return Django's settings for ``postgres://user:password@host:port/name``, or SQLite."""
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DEMO_DIR / "db.sqlite3",
            "OPTIONS": {
                # Writers wait for each other instead of failing, readers never wait.
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
            },
        }
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ValueError("DATABASE_URL must start with postgres:// or be empty for SQLite")
    query = dict(urllib.parse.parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": urllib.parse.unquote(parts.path.lstrip("/")),
        "USER": urllib.parse.unquote(parts.username or ""),
        "PASSWORD": urllib.parse.unquote(parts.password or ""),
        "HOST": query.pop("host", "") or parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": query,
    }


SECRET_KEY = os.environ.get("SECRET_KEY") or _kept_secret(DEMO_DIR / "secret-key")
DEBUG = os.environ.get("DEBUG", "1") == "1"
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "claimkit_django.tenants",
    "claimkit_django.claims",
    "claimkit_django.drift",
    "claimkit_django.alerts",
    "claimkit_django.audit",
    "claimkit_django.reports",
    "claimkit_django.authorizations",
    "claimkit_django.automation",
    "claimkit_django.webhooks",
    "claimkit_django.accounts",
    "claimkit_django.ops",
    "claimkit_django.dashboard",
    "example",
]

MIDDLEWARE = [
    "claimkit_django.ops.middleware.MetricsMiddleware",
    "claimkit_django.http.request_ids.RequestIdMiddleware",
    "claimkit_django.http.problems.ProblemMiddleware",
    "claimkit_django.http.versions.ApiVersionMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "example.middleware.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "claimkit_django.accounts.sessions.SessionLimitMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "claimkit_django.tenants.middleware.TenantMiddleware",
]

ROOT_URLCONF = "example.urls"
WSGI_APPLICATION = "example.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # Before the templates of apps: the dashboard gets the site's own frame.
        "DIRS": [PROJECT / "example" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": _database(os.environ.get("DATABASE_URL", ""))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MEDIA_ROOT = DEMO_DIR / "media"
#: Reports that ``demo.py`` writes, one folder per tenant.
REPORTS_DIR = DEMO_DIR / "reports"
STATIC_URL = "static/"
STATIC_ROOT = DEMO_DIR / "static"
# Claims are personal: what the site writes is for its own account only.
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

LOGIN_URL = "claimkit_accounts:login"
LOGIN_REDIRECT_URL = "claimkit_dashboard:index"
# The demo's password opens nothing where others can reach the site.
AUTHENTICATION_BACKENDS = ["example.posture.NoDemoPasswords"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

SESSION_COOKIE_AGE = 8 * 60 * 60
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = not DEBUG
SECURE_HSTS_SECONDS = 0 if DEBUG else 63_072_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not DEBUG
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "claimkit_django.accounts.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
        "rest_framework.authentication.BasicAuthentication",
    ],
}

REDIS_URL = os.environ.get("REDIS_URL", "")
_QUEUE = DEMO_DIR / "queue"
if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
else:
    # Files instead of a server: enough for one machine, and nothing to install.
    for _folder in ("messages", "processed", "control"):
        (_QUEUE / _folder).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_URL = "filesystem://localhost"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_QUEUE / "messages"),
        "data_folder_out": str(_QUEUE / "messages"),
        "processed_folder": str(_QUEUE / "processed"),
        "control_folder": str(_QUEUE / "control"),
        "store_processed": False,
    }
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_TIME_LIMIT = 60 * 60
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A delivery must not wait for an import that takes minutes.
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BEAT_SCHEDULE = {
    "watch every hospital": {
        "task": "claimkit.drift.watch_all",
        "schedule": crontab(hour=5, minute=0),
    },
    "look at authorizations": {
        "task": "claimkit.authorizations.check",
        "schedule": crontab(hour=6, minute=0),
    },
    "remove what is old": {
        "task": "claimkit.ops.apply_retention",
        "schedule": crontab(hour=3, minute=0),
    },
    "remove old deliveries": {
        "task": "claimkit.webhooks.prune",
        "schedule": crontab(hour=3, minute=30),
    },
    "remove old exports": {
        "task": "claimkit.reports.prune_exports",
        "schedule": crontab(minute=10),
    },
    "make reports that are due": {"task": "claimkit.reports.make_due", "schedule": 600.0},
    "tell people of alerts": {"task": "claimkit.alerts.notify", "schedule": 60.0},
    "send webhooks": {"task": "claimkit.webhooks.deliver", "schedule": 60.0},
    "watch the site": {"task": "claimkit.ops.watch_platform", "schedule": 60.0},
}

#: Mail goes into files, which the site shows to whoever tries it.
MAIL_DIR = DEMO_DIR / "mail"
_MAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": _MAIL_BACKEND, "OPTIONS": {"file_path": str(MAIL_DIR)}}}
else:
    EMAIL_BACKEND, EMAIL_FILE_PATH = _MAIL_BACKEND, MAIL_DIR
#: Keys and inbox of the partner who takes webhooks, which ``receiver.py`` plays.
PARTNER_DIR = DEMO_DIR / "partner"
PARTNER_PORT = int(os.environ.get("CLAIMKIT_DEMO_RECEIVER_PORT", "8001"))
DEFAULT_FROM_EMAIL = "claimkit@lakeshore.example"

CLAIMKIT: dict[str, dict[str, object]] = {
    "ALERTS": {"PAGE": "http://127.0.0.1:8000/dashboard/alerts/{uid}/"},
    # Whoever is on this machine, or knows the token, may read metrics and details of health.
    "OPS": {
        "ALLOWED_NETWORKS": ["127.0.0.0/8", "::1/128"] if DEBUG else [],
        "TOKENS": list(filter(None, [os.environ.get("OPS_TOKEN", "")])),
        "DISK_PATHS": [str(DEMO_DIR)],
    },
}
if not os.environ.get("DD_AGENT_HOST"):
    # Installed with everything else, and there is no agent to count for.
    CLAIMKIT["PLUGINS"] = {"DISABLED": ["datadog"]}
if DEBUG:
    # The partner is on this machine; elsewhere, only https to public addresses will do.
    CLAIMKIT["WEBHOOKS"] = {
        "ALLOW_HTTP": True,
        "ALLOWED_NETWORKS": ["127.0.0.0/8"],
        "PORTS": [str(PARTNER_PORT)],
    }

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "claimkit_django.http.request_ids.RequestIdFilter"}},
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"},
        "json": {"()": "claimkit_django.ops.logs.JsonFormatter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "filters": ["request_id"],
            # Lines for people where one develops, JSON for collectors.
            "formatter": os.environ.get("LOG_FORMAT", "line" if DEBUG else "json"),
        }
    },
    "root": {"handlers": ["console"], "level": os.environ.get("LOG_LEVEL", "WARNING")},
}
