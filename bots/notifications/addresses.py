"""Addresses of channels: which services there are, what an address may hold, what may be shown of it.

An address is untrusted and it is a secret, so no sentence repeats it. Apprise knows over a hundred services, some of
which start programs or read files; it is never let choose. Each of ours is loaded by itself (all of them would take
three seconds), and of what may follow the "?" only what is listed passes: others name files, or turn off checks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from orchestrator import outbound

LONGEST = 1000
CONNECT_SECONDS, READ_SECONDS, TOTAL_SECONDS = 5, 10, 30
PRIVATE = (
    "address must be of a public server, not of a private network; whoever runs this server can allow it with "
    "ALLOW_LOCAL_NOTIFICATIONS=1."
)


class BrokenAddress(ValueError):
    """It cannot be used; the message says what is wrong with it and repeats nothing of it."""


class Service(NamedTuple):
    """plugin: Apprise's, as module:class. host: of a plugin, the server that it talks to.

    login: whether a user name and password may stand before the server's name.
    """

    name: str
    plugin: str
    example: str
    host: Callable[[Any], str]
    options: frozenset[str] = frozenset()
    prefixes: str = ""  # of further options: "+" for headers, ":" for fields of the message
    login: bool = False


_TELEGRAM = Service(
    "Telegram", "telegram:NotifyTelegram", "tgram://BOT_TOKEN/CHAT_ID", lambda plugin: "api.telegram.org",
    frozenset({"silent", "topic", "thread", "to"}),
)  # fmt: skip
_DISCORD = Service(
    "Discord", "discord:NotifyDiscord", "discord://WEBHOOK_ID/WEBHOOK_TOKEN", lambda plugin: "discord.com",
    frozenset({"thread", "thread_id"}),
)  # fmt: skip
_SLACK = Service(
    "Slack", "slack:NotifySlack", "slack://TOKEN_A/TOKEN_B/TOKEN_C/#CHANNEL", lambda plugin: "slack.com",
    frozenset({"to"}),
)  # fmt: skip
_MAIL = Service(
    "E-mail", "email:NotifyEmail", "mailtos://USER:PASSWORD@example.org?smtp=mail.example.org&to=you@example.org",
    lambda plugin: plugin.smtp_host, frozenset({"smtp", "to", "from", "name", "mode", "user", "pass"}), login=True,
)  # fmt: skip
_NTFY = Service(
    "ntfy", "ntfy:NotifyNtfy", "ntfys://TOKEN@ntfy.example.org/TOPIC",
    lambda plugin: "ntfy.sh" if plugin.mode == "cloud" else plugin.host,
    frozenset({"priority", "token", "auth", "mode"}), login=True,
)  # fmt: skip
_PUSHOVER = Service(
    "Pushover", "pushover:NotifyPushover", "pover://USER_KEY@APP_TOKEN", lambda plugin: "pushover.net",
    frozenset({"priority", "sound", "to"}),
)  # fmt: skip
_GOTIFY = Service(
    "Gotify", "gotify:NotifyGotify", "gotifys://gotify.example.org/TOKEN", lambda plugin: plugin.host,
    frozenset({"priority"}), login=True,
)  # fmt: skip
_WEBHOOK = Service(
    "Webhook", "custom_json:NotifyJSON", "jsons://example.org/path", lambda plugin: plugin.host, prefixes="+:-",
    login=True,
)  # fmt: skip
# What an address begins with -> the service.
SERVICES: dict[str, Service] = {
    "tgram": _TELEGRAM,
    "discord": _DISCORD,
    "slack": _SLACK,
    "mailtos": _MAIL,
    "mailto": _MAIL,
    "ntfys": _NTFY,
    "ntfy": _NTFY,
    "pover": _PUSHOVER,
    "gotifys": _GOTIFY,
    "gotify": _GOTIFY,
    "jsons": _WEBHOOK,
    "json": _WEBHOOK,
}
# Addresses as the services print them, to be pasted as they are.
_NATIVE = {
    "discord.com": _DISCORD,
    "discordapp.com": _DISCORD,
    "hooks.slack.com": _SLACK,
    "ntfy.sh": _NTFY,
}
EXAMPLES = [(service.name, service.example) for service in dict.fromkeys(SERVICES.values())]


class Target(NamedTuple):
    """What an address means. plugin: Apprise's, ready to send; host: of the server it talks to."""

    service: Service
    plugin: Any
    host: str
    shown: str


@sensitive_variables()
def parse(address: str) -> Target:
    """What an address means; connects nowhere. Raises BrokenAddress."""
    if len(address) > LONGEST:
        raise BrokenAddress(f"address must be at most {LONGEST} characters long, not {len(address)}.")
    if re.search(r"[^\x21-\x7e]", address):
        raise BrokenAddress("address must not hold spaces or signs beyond ASCII; write them as %20 and the like.")
    scheme, service = _service(address)
    # A "+" is one here, and no space.
    asked = parse_qsl(address.partition("?")[2].replace("+", "%2B"), keep_blank_values=True)
    _check_options({name for name, _ in asked}, service)
    if service.login and scheme not in {"http", "https"}:
        address = _escaped(address)
    plugin = _plugin(service, address, scheme in {"http", "https"})
    host = str(service.host(plugin)).strip("[]")
    if outbound.is_address(host) and not outbound.is_allowed(host, settings.ALLOW_LOCAL_NOTIFICATIONS):
        raise BrokenAddress(PRIVATE)
    port = f":{plugin.port}" if plugin.port and host == plugin.host else ""
    return Target(service, plugin, host, f"{service.name} at {host}{port}"[:200])


def _service(address: str) -> tuple[str, Service]:
    scheme, found, _ = address.partition("://")
    scheme = scheme.lower() if found else ""
    if scheme in SERVICES:
        return scheme, SERVICES[scheme]
    if scheme in {"http", "https"}:
        try:
            host = urlsplit(address).hostname or ""
        except ValueError:
            host = ""
        if host in _NATIVE:
            return "https", _NATIVE[host]
        raise BrokenAddress("address must begin with jsons:// to be a webhook, or with the word of its service.")
    raise BrokenAddress(f"address must begin with one of {', '.join(f'{name}://' for name in SERVICES)}.")


@sensitive_variables()
def _escaped(address: str) -> str:
    """The address with "/" in a password as %2F. Raises BrokenAddress where that may be meant, or something else.

    Taken literally, the password would end where the "/" is: its beginning as the server's name, the rest as a path.
    """
    place, mark, options = address.partition("?")
    scheme, _, rest = place.partition("://")
    begins, _, behind = rest.partition("/")
    if "@" in begins or "@" not in behind:
        return address
    _, colon, begun = begins.partition(":")
    if not colon or begun.isdigit():  # a server, and the port of one, are possible too
        if {"user", "pass"} <= {name.lower() for name, _ in parse_qsl(options)}:  # who logs in is told there
            return address
        raise BrokenAddress(
            'address must have each "/" and "@" that is in a user name, a password or a path as %2F and %40.'
        )
    password, _, server = behind.partition("@")
    return f"{scheme}://{begins}%2F{password.replace('/', '%2F')}@{server}{mark}{options}"


def _check_options(names: set[str], service: Service) -> None:
    for name in names:
        if name.lower() not in service.options and not (name[:1] in service.prefixes and len(name) > 1):
            known = ", ".join(sorted(service.options)) or "headers such as ?+X-Key=value"
            raise BrokenAddress(f"address may hold {known} behind its question mark for {service.name}, nothing else.")


@sensitive_variables()
def _plugin(service: Service, address: str, native: bool) -> Any:
    module, _, name = service.plugin.partition(":")
    plugin = getattr(import_module(f"apprise.plugins.{module}"), name)
    incomplete = BrokenAddress(f"address is not complete: one of {service.name} looks like {service.example}.")
    try:
        parsed = (plugin.parse_native_url if native else plugin.parse_url)(address)
    except Exception:
        raise incomplete from None
    if not parsed:
        raise incomplete
    _check_options(set(parsed.get("qsd", ())), service)  # as it was understood, whatever we made of it
    try:
        return plugin(**parsed | {"cto": CONNECT_SECONDS, "rto": READ_SECONDS}, asset=_asset())
    except Exception:
        raise incomplete from None


def _asset() -> Any:
    apprise = import_module("apprise")
    asset = apprise.AppriseAsset(
        storage_mode="memory", allow_templates=False, service_timeout=TOTAL_SECONDS, result_log_memory_size=4000
    )
    asset.app_id = asset.app_desc = "Orchestrator"
    # No picture is fetched from elsewhere, nothing is sent on to where an answer leads.
    asset.image_url_mask = asset.image_url_logo = asset.app_url = ""
    asset.http_redirects = False
    return asset
