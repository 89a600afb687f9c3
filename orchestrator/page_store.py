"""Pages in front of Django: what a browser was answered a moment ago it is answered again, for one look into Redis.

A view says which of its answers may be kept (`Keepable`, as response.keepable). One belongs to exactly who asked for
it: its key is a digest of the whole Cookie header (session, CSRF secret, what was last written), host, scheme, address,
page or fragment, and encoding. It is kept as it was sent, compressed and with its headers, and answers with 304 where
the browser has it.

It is never older than LIFETIME_MS, counted from before it was rendered, and out of reach as soon as one of its topics
changed: `drop` notes Redis' own time beside the topic, and what began before that is not answered any more. So whatever
was read before a change cannot be kept after it, and neither can what a session asked for before it ended. Where that
clock is set back, a change is no earlier than the latest beginning, and what began later than now is not answered.

A process remembers what it has just answered (orchestrator/page_memory.py), and asks Redis only whether one of its
topics changed. Before a page expires, one of those who ask for it has it rendered anew; so nobody waits beside another
for the same. While Redis does not answer, all goes to Django, behind the circuit breaker of the cache
(orchestrator/cache/link.py).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import orjson
from django.conf import settings
from redis import Redis
from redis.exceptions import NoScriptError

from orchestrator import cache
from orchestrator.observability.metrics import PAGE_STORE
from orchestrator.page_memory import CHANGED, Answer, Asked, Memory, Moment, Page

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from django.http.response import HttpResponseBase

    from orchestrator.cache.link import Link

LIFETIME_MS = 1_000
EVERYBODY = "all"  # the topic of every page
MOST_BYTES = 500_000
RENEW_MS = 600  # when one who asks, and nobody else, is sent to Django for a page that others get meanwhile
_CHANGE_MS = 5 * LIFETIME_MS  # longer than anything lives that began before it
_PAGE, _LATEST = "orchestrator:page", "orchestrator:latest"
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
for topic in string.gmatch(topics, '%S+') do names[#names + 1] = '{CHANGED}:' .. topic end
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
_HITS, _MISSES = PAGE_STORE.labels("hit"), PAGE_STORE.labels("miss")


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


class PageStore:
    """The WSGI application that answers from the store, and else asks Django."""

    def __init__(self, django: WSGIApplication) -> None:
        self._django = django
        self._memory = Memory()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not _may_be_kept(environ):
            return self._django(environ, start_response)
        began = Moment(time.perf_counter(), time.time())
        answer, look = self._found(environ, began)
        if answer is None:
            return self._rendered(look, environ, start_response)
        _HITS.inc()
        start_response(answer.status, answer.headers)
        answer.count.observe(time.perf_counter() - began.steady)
        return [answer.body]

    def _found(self, environ: WSGIEnvironment, began: Moment) -> tuple[Answer | None, _Look | None]:
        """The answer, remembered or kept; else the look for it, unless Redis does not answer."""
        asked = tuple([environ.get(name) for name in _ASKED])
        known = environ.get("HTTP_IF_NONE_MATCH", "")
        page = self._memory.get(asked, began, min(RENEW_MS, LIFETIME_MS))
        link = cache.of_this_process().store.link
        try:
            if page is not None and _is_unchanged(page, link):
                return page.answer(known), None
            look = _look(asked, began.steady, link)
        except cache.Unreachable:
            return None, None
        if look.entry is None:
            return None, look
        page = Page.of(look.entry, look.time, began)
        self._memory.keep(asked, page)
        return page.answer(known), look

    def _rendered(self, look: _Look | None, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        response = self._django(environ, start_response)
        if look is not None:
            _MISSES.inc()
            _keep(look, cast("HttpResponseBase", response))
        return response


def drop(topics: Iterable[str]) -> bool:
    """Put all pages out of reach that show one of these topics, for every process.

    False when Redis does not answer: then some may live on until they are LIFETIME_MS old.
    """
    heads = {topic.partition("/")[0] for topic in topics}
    names = sorted(heads | {head.partition(":")[0] for head in heads})
    keys = [f"{CHANGED}:{name}" for name in names]
    try:
        if keys:
            link = cache.of_this_process().store.link
            link.run(lambda redis: redis.eval(_DROP, len(keys), *keys, str(_CHANGE_MS)))
    except cache.Unreachable:
        return False
    return True


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


def _is_unchanged(page: Page, link: Link) -> bool:
    """Whether none of its topics changed since it began. Raises Unreachable."""
    return all(changed is None or changed < page.began for changed in link.ask("MGET", *page.changes))


def _look(asked: Asked, began: float, link: Link) -> _Look:
    """Raises Unreachable."""
    key = f"{_PAGE}:{hashlib.blake2b(repr(asked).encode(), digest_size=16).hexdigest()}"
    found = link.run(lambda redis: _asked(redis, key))
    return _Look(key, began, found[0], found[1] if len(found) > 1 else None)


def _asked(redis: Redis, key: str) -> Any:
    try:
        return redis.evalsha(_LOOK_DIGEST, 1, key, RENEW_MS, LIFETIME_MS)
    except NoScriptError:
        return redis.eval(_LOOK, 1, key, str(RENEW_MS), str(LIFETIME_MS))


_LOOK_DIGEST = hashlib.sha1(_LOOK.encode(), usedforsecurity=False).hexdigest()  # Redis' name for a script


def _keep(look: _Look, response: HttpResponseBase) -> None:
    keepable: Keepable | None = getattr(response, "keepable", None)
    if keepable is None or not _is_whole(response):
        return
    headers = [(name, value) for name, value in response.items() if name.lower() not in _OF_ONE_ANSWER]
    status = f"{response.status_code} {response.reason_phrase}"
    head = orjson.dumps([keepable.view, status, response.headers["ETag"], headers])
    topics = " ".join((EVERYBODY, *keepable.topics)).encode()
    entry = b"%b %b\n%b\n%b" % (look.time, topics, head, cast("Any", response).content)
    left = LIFETIME_MS - int(1000.0 * (time.perf_counter() - look.began)) - 1
    if left > 0 and len(entry) <= MOST_BYTES:
        with suppress(cache.Unreachable):
            cache.of_this_process().store.link.run(lambda redis: redis.set(look.key, entry, px=left))


def _is_whole(response: HttpResponseBase) -> bool:
    """A page or its 304 that hangs on nothing but what its key was made of, and brings no cookie."""
    varies = {word.strip().lower() for word in response.headers.get("Vary", "").split(",")}
    return (
        response.status_code in {200, 304}
        and not response.streaming
        and not response.cookies
        and "ETag" in response.headers
        and "no-store" not in response.headers.get("Cache-Control", "")
        and varies <= _VARIES
    )
