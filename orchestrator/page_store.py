"""Pages in front of Django: what a browser was answered a moment ago it is answered again, for one look into Redis.

A view says which of its answers may be kept (`Keepable`, as response.keepable). One belongs to exactly who asked for
it: its key is a digest of the whole Cookie header (session, CSRF secret, what was last written), host, scheme, address,
page or fragment, and encoding. It is kept as it was sent, compressed and with its headers, and answers with 304 where
the browser has it.

It is never older than LIFETIME_MS, counted from before it was rendered, and out of reach as soon as one of its topics
changed: `drop` notes Redis' own time beside the topic, and what began before that is not answered any more. So whatever
was read before a change cannot be kept after it, and neither can what a session asked for before it ended. Where that
clock is set back, a change is no earlier than the latest beginning, and what began later than now is not answered.

Before a page expires, one of those who ask for it has it rendered anew; so nobody waits beside another for the same.
While Redis does not answer, all goes to Django, behind the circuit breaker of the cache (orchestrator/cache/link.py).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import orjson
from django.conf import settings
from django.http import parse_cookie
from redis import Redis
from redis.exceptions import NoScriptError

from orchestrator import cache
from orchestrator.observability.metrics import PAGE_STORE, REQUESTS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from django.http.response import HttpResponseBase

LIFETIME_MS = 1_000
EVERYBODY = "all"  # the topic of every page
MOST_BYTES = 500_000
RENEW_MS = 600  # when one who asks, and nobody else, is sent to Django for a page that others get meanwhile
_CHANGE_MS = 5 * LIFETIME_MS  # longer than anything lives that began before it
_PAGE, _CHANGED, _LATEST = "orchestrator:page", "orchestrator:changed", "orchestrator:latest"
# {Redis' time in µs, the entry if there is one whose topics did not change since it began, for all but who renews it}.
_LOOK = f"""
local time = redis.call('time')
local now = time[1] .. string.format('%06d', time[2])
local function begins()
  local latest = redis.call('get', '{_LATEST}')
  if latest and latest > now then return {{latest}} end
  redis.call('set', '{_LATEST}', now)
  return {{now}}
end
local entry = redis.call('get', KEYS[1])
if not entry then return begins() end
local began, topics = string.match(entry, '^(%d+) ([^\\n]*)\\n')
if began > now then return begins() end
local names = {{}}
for topic in string.gmatch(topics, '%S+') do names[#names + 1] = '{_CHANGED}:' .. topic end
for _, changed in ipairs(redis.call('mget', unpack(names))) do
  if changed and changed >= began then return begins() end
end
if now - began > ARGV[1] * 1000 and redis.call('set', KEYS[1] .. ':' .. began, '', 'px', ARGV[2], 'nx') then
  return begins()
end
return {{now, entry}}
"""
_DROP = f"""
local time = redis.call('time')
local now = time[1] .. string.format('%06d', time[2])
local latest = redis.call('get', '{_LATEST}')
local lives = tonumber(ARGV[1])
if latest and latest > now then
  lives = lives + math.ceil((latest - now) / 1000)
  now = latest
end
for _, key in ipairs(KEYS) do redis.call('set', key, now, 'px', string.format('%d', lives)) end
"""
# Everything that an answer may hang on. Cookies include all that a view or a middleware reads of them.
_ASKED = (
    "SERVER_NAME", "SERVER_PORT", "HTTP_HOST", "wsgi.url_scheme", "HTTP_X_FORWARDED_PROTO", "SCRIPT_NAME", "PATH_INFO",
    "QUERY_STRING", "HTTP_COOKIE", "HTTP_ACCEPT_ENCODING", "HTTP_HX_REQUEST", "HTTP_HX_HISTORY_RESTORE_REQUEST",
)  # fmt: skip
_VARIES = {"cookie", "accept-encoding", "hx-request", "hx-history-restore-request"}
# Who sends one of these wants something that is not kept here.
_OTHER = ("HTTP_AUTHORIZATION", "HTTP_RANGE", "HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE")
_NO_PAGES = ("/api/", "/admin/", "/static/")
_OF_ONE_ANSWER = {"server-timing", "set-cookie"}
_OF_A_BODY = {"content-length", "content-type", "content-encoding"}


class Keepable(NamedTuple):
    """Says of an answer that it may be kept. view: name that it counts under; topics: what it follows from."""

    view: str
    topics: tuple[str, ...]


class _Look(NamedTuple):
    """A question to the store: its key, when it was put (by this process, and by Redis), and the entry found."""

    key: str
    began: float
    time: bytes
    entry: bytes | None


class _Answer(NamedTuple):
    view: str
    status: str
    headers: list[tuple[str, str]]
    body: bytes


class PageStore:
    """The WSGI application that answers from the store, and else asks Django."""

    def __init__(self, django: WSGIApplication) -> None:
        self._django = django

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        look = _look(environ) if _may_be_kept(environ) else None
        if look is None:
            return self._django(environ, start_response)
        answer = _answer(look.entry, environ.get("HTTP_IF_NONE_MATCH", "")) if look.entry else None
        PAGE_STORE.labels("hit" if answer else "miss").inc()
        if answer is None:
            response = self._django(environ, start_response)
            _keep(look, cast("HttpResponseBase", response), environ["HTTP_COOKIE"])
            return response
        start_response(answer.status, answer.headers)
        REQUESTS.labels(answer.view, "GET", answer.status[:3]).observe(time.perf_counter() - look.began)
        return [answer.body]


def drop(topics: Iterable[str]) -> bool:
    """Put all pages out of reach that show one of these topics, for every process.

    False when Redis does not answer: then some may live on until they are LIFETIME_MS old.
    """
    heads = {topic.partition("/")[0] for topic in topics}
    names = sorted(heads | {head.partition(":")[0] for head in heads})
    keys = [f"{_CHANGED}:{name}" for name in names]
    return not keys or _asked(lambda redis: redis.eval(_DROP, len(keys), *keys, str(_CHANGE_MS)) or True) is not None


def _asked(work: Callable[[Redis], Any]) -> Any:
    """What `work` makes of Redis; None while that does not answer."""
    try:
        return cache.of_this_process().store.link.run(work)
    except cache.Unreachable:
        return None


def _may_be_kept(environ: WSGIEnvironment) -> bool:
    """Whether this is somebody's page at all: who has no session gets no page that is kept."""
    path = environ["PATH_INFO"]
    return (
        environ["REQUEST_METHOD"] == "GET"
        and path.endswith("/")
        and not path.startswith(_NO_PAGES)
        and f"{settings.SESSION_COOKIE_NAME}=" in environ.get("HTTP_COOKIE", "")
        and environ.get("HTTP_CACHE_CONTROL") != "no-cache"
        and not any(name in environ for name in _OTHER)
    )


def _look(environ: WSGIEnvironment) -> _Look | None:
    """None while Redis does not answer."""
    began = time.perf_counter()
    asked = repr([environ.get(name) for name in _ASKED])
    key = f"{_PAGE}:{hashlib.blake2b(asked.encode(), digest_size=16).hexdigest()}"
    found = _asked(lambda redis: _found(redis, key))
    return found and _Look(key, began, found[0], found[1] if len(found) > 1 else None)


_LOOK_DIGEST = hashlib.sha1(_LOOK.encode(), usedforsecurity=False).hexdigest()  # Redis' name for a script


def _found(redis: Redis, key: str) -> Any:
    try:
        return redis.evalsha(_LOOK_DIGEST, 1, key, RENEW_MS, LIFETIME_MS)
    except NoScriptError:
        return redis.eval(_LOOK, 1, key, str(RENEW_MS), str(LIFETIME_MS))


def _answer(entry: bytes, known: str) -> _Answer | None:
    """known: the If-None-Match of the browser. None for a 304 that was kept, asked for by one who has not the page."""
    _, head, body = entry.split(b"\n", 2)
    view, status, etag, headers = orjson.loads(head)
    if etag in (one.strip() for one in known.split(",")):
        return _Answer(view, "304 Not Modified", [(n, v) for n, v in headers if n.lower() not in _OF_A_BODY], b"")
    return None if status.startswith("304") else _Answer(view, status, [(n, v) for n, v in headers], body)


def _keep(look: _Look, response: HttpResponseBase, cookies: str) -> None:
    keepable: Keepable | None = getattr(response, "keepable", None)
    if keepable is None or not _is_whole(response) or not _brings_no_cookie(response, cookies):
        return
    headers = [(name, value) for name, value in response.items() if name.lower() not in _OF_ONE_ANSWER]
    status = f"{response.status_code} {response.reason_phrase}"
    head = orjson.dumps([keepable.view, status, response.headers["ETag"], headers])
    topics = " ".join((EVERYBODY, *keepable.topics)).encode()
    entry = b"%b %b\n%b\n%b" % (look.time, topics, head, cast("Any", response).content)
    left = LIFETIME_MS - int(1000.0 * (time.perf_counter() - look.began)) - 1
    if left > 0 and len(entry) <= MOST_BYTES:
        _asked(lambda redis: redis.set(look.key, entry, px=left))


def _is_whole(response: HttpResponseBase) -> bool:
    """A page or its 304 that hangs on nothing but what its key was made of."""
    varies = {word.strip().lower() for word in response.headers.get("Vary", "").split(",")}
    return (
        response.status_code in {200, 304}
        and not response.streaming
        and "ETag" in response.headers
        and "no-store" not in response.headers.get("Cache-Control", "")
        and varies <= _VARIES
    )


def _brings_no_cookie(response: HttpResponseBase, cookies: str) -> bool:
    """But for the CSRF secret that the browser has: Django sends it with every form, so that it lasts longer."""
    had = parse_cookie(cookies)
    return all(
        name == settings.CSRF_COOKIE_NAME and had.get(name) == one.value for name, one in response.cookies.items()
    )
