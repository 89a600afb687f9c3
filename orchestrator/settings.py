"""One settings file for every place, driven by the variables in orchestrator/env.py."""

from __future__ import annotations

import os
from typing import Any

from orchestrator import env, home, profiling, roles
from orchestrator.servers import addresses

BASE_DIR = home.PROJECT
DEBUG = env.boolean("DEBUG")
SECRET_KEY = home.secret_key()
SECRET_KEY_FALLBACKS = env.names("SECRET_KEY_FALLBACKS")

HOST = env.text("HOST")
PORT = env.integer("PORT", 1, 65535)
LIVE_PORT = env.integer("LIVE_PORT", 1, 65535, default=min(PORT + 1, 65535))
LIVE_URL = env.given("LIVE_URL")
SIMULATED_SPEED = env.number("SIMULATED_SPEED", 1, 100_000)
STREAM_MARKETS = env.boolean("STREAM_MARKETS")
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", HOST, *env.names("ALLOWED_HOSTS")]
CSRF_TRUSTED_ORIGINS = env.names("CSRF_TRUSTED_ORIGINS")
# Behind TLS the cookies are for TLS alone; on loopback there is none.
BEHIND_TLS = any(origin.startswith("https://") for origin in CSRF_TRUSTED_ORIGINS)

# numba reads this at its import; every process must agree on it.
os.environ.setdefault("NUMBA_CACHE_DIR", str(home.kernel_cache()))
# So does prometheus_client, and counts in memory alone without it.
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(home.folder("metrics")))

INSTALLED_APPS = [
    "orchestrator",
    "dashboard",
    "bots",
    "markets",
    "django_celery_beat",
    "django_htmx",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
]
MIDDLEWARE = [
    "orchestrator.observability.requests.measured",
    "django.middleware.security.SecurityMiddleware",
    "orchestrator.middleware.content_security_policy",
    "orchestrator.middleware.no_null_bytes",
    "orchestrator.middleware.written",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "orchestrator.compression.Compression",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "orchestrator.middleware.known_secret",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
# Two processes know neither bots nor pages, and need not carry what those bring, numba before all: 40 MB each.
PROCESS = os.environ.get("ORCHESTRATOR_PROCESS", "")
_LEAN = {
    "live": ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    "beat": ["orchestrator", "django_celery_beat", "django.contrib.auth", "django.contrib.contenttypes"],
}
INSTALLED_APPS = _LEAN.get(PROCESS, INSTALLED_APPS)
if DEBUG and PROCESS not in _LEAN:
    INSTALLED_APPS += ["debug_toolbar"]
    MIDDLEWARE.insert(
        MIDDLEWARE.index("orchestrator.compression.Compression") + 1, "debug_toolbar.middleware.DebugToolbarMiddleware"
    )
    INTERNAL_IPS = ["127.0.0.1", "::1"]
SILK_PERCENT = env.number("SILK_PERCENT", 0, 100)
if SILK_PERCENT and PROCESS not in _LEAN:
    INSTALLED_APPS += ["silk"]
    MIDDLEWARE.append("silk.middleware.SilkyMiddleware")
    SILKY_AUTHENTICATION = SILKY_AUTHORISATION = True
    SILKY_INTERCEPT_FUNC = profiling.is_recorded
    SILKY_MAX_RECORDED_REQUESTS = 2_000
    # What was sent and shown is nobody's business; zero bytes are none of it.
    SILKY_MAX_REQUEST_BODY_SIZE = SILKY_MAX_RESPONSE_BODY_SIZE = 0

ROOT_URLCONF = "orchestrator.urls"
WSGI_APPLICATION = "orchestrator.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "dashboard.views.kept.token_place",
            ],
        },
    },
    {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {"environment": "dashboard.row_templates.environment"},
    },
]

DATABASE_URL = addresses.database_url()
_database: dict[str, Any] = addresses.database(DATABASE_URL)
DATABASES = {"default": _database}
DB_POOL_MAX = env.integer("DB_POOL_MAX", 1, 100)
roles.connect(_database, PROCESS, DB_POOL_MAX)
if env.given("DATABASE_REPLICA_URL"):
    _replica = addresses.database(env.text("DATABASE_REPLICA_URL"), "DATABASE_REPLICA_URL")
    DATABASES["replica"] = {**_database, **_replica, "OPTIONS": {**_database["OPTIONS"], **_replica["OPTIONS"]}}
    DATABASE_ROUTERS = ["orchestrator.replica.Router"]
    MIDDLEWARE.insert(
        MIDDLEWARE.index("django.contrib.auth.middleware.LoginRequiredMiddleware"),
        "orchestrator.replica.reads_from_replica",
    )
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = addresses.redis_url() or "redis://127.0.0.1:1/0"
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 0.5, "SOCKET_TIMEOUT": 0.5},
        "KEY_PREFIX": "orchestrator",
    }
}

API_READS_PER_MINUTE = env.integer("API_READS_PER_MINUTE", 1, 1_000_000)
BACKTESTS_KEPT_DAYS = env.integer("BACKTESTS_KEPT_DAYS", 0, 36_500)
API_WRITES_PER_MINUTE = env.integer("API_WRITES_PER_MINUTE", 1, 1_000_000)
ALLOW_LOCAL_NOTIFICATIONS = env.boolean("ALLOW_LOCAL_NOTIFICATIONS")
# What a job renews in the cache before it expires, as far as it is read: orchestrator.cache.Source.
CACHE_SOURCES = ["markets.services.INDICATOR_SOURCE"]
# What web processes load soon after their start (orchestrator/warming.py), and a worker before it forks its pool.
WARM_UP = "bots.warming.load"
# What is done as soon as a candle has been stored; by two processes what all bots on paper wait for.
CANDLE_TASKS = [
    "bots.tasks.advance_runs",
    "bots.tasks.advance_live_runs",
    "bots.tasks.advance_runs",
    "markets.tasks.compute_indicators",
]

CELERY_BROKER_URL = REDIS_URL
CELERY_RESULT_BACKEND = None
CELERY_TASK_DEFAULT_QUEUE = "celery"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SOFT_TIME_LIMIT = 300
CELERY_TASK_TIME_LIMIT = 330
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = roles.broker_options(PROCESS)
CELERY_BEAT_SCHEDULER = "orchestrator.beat:Scheduler"
CELERY_TIMEZONE = "UTC"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Without it Celery closes every connection around every task.
CELERY_DB_REUSE_MAX = 1000

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS
SESSION_COOKIE_HTTPONLY = True
SESSION_ENGINE = "orchestrator.sessions"
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS else None
SECURE_SSL_REDIRECT = BEHIND_TLS
# Asked from inside, where there is no TLS.
SECURE_REDIRECT_EXEMPT = ["^health$", "^ready$", "^metrics$"]
SECURE_HSTS_SECONDS = 30 * 86_400 if BEHIND_TLS else 0
# Other names under the domain are not ours to bind.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

LANGUAGE_CODE = "en-us"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
DATE_FORMAT, TIME_FORMAT, DATETIME_FORMAT = "Y-m-d", "H:i:s", "Y-m-d H:i:s"

STATIC_URL = "/static/"
STATIC_ROOT = home.home() / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "orchestrator.assets.NodeModulesFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "orchestrator.assets.HashedStorage"},
}
if DEBUG:
    STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line"},
        "nowhere": {"class": "logging.NullHandler"},
    },
    # These tell addresses, and a channel's address is its secret: whatever LOG_LEVEL says, not the tail of them.
    "loggers": {
        "apprise": {"handlers": ["nowhere"], "level": "WARNING", "propagate": False},
        "urllib3": {"level": "ERROR"},  # it warns of answers that it cannot read, with the address
    },
    "root": {"handlers": ["stderr"], "level": env.text("LOG_LEVEL")},
}
