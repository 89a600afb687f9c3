"""deploy/nginx.conf in a real nginx, before a server that counts what it is asked."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from django.core.management import get_commands

from orchestrator import middleware
from orchestrator.env import ENV
from orchestrator.home import PROJECT
from orchestrator.servers import ports, programs
from tests.orchestrator.processes import manage, until


class Counting(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked, unchanged = 0, 0
    has_ended = False
    held = free = None

    def do_GET(self):
        type(self).asked += 1
        text = f"{type(self).asked} for {self.headers.get('Cookie')}".encode()
        if "expired" in self.path and self.headers.get("If-None-Match"):
            self.from_before()
            return
        self.send_response(200)
        if "expired" in self.path:
            self.send_header("X-Accel-Expires", "@1")
            self.send_header("ETag", '"it"')
        self.send_header("Cache-Control", "no-store" if "secret" in self.path else "private, no-cache")
        self.send_header("Content-Length", str(len(text)))
        if "sets-cookie" in self.path:
            self.send_header("Set-Cookie", "sessionid=fresh")
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET

    def from_before(self):
        """What nginx has is asked for once more: it is the same, takes its time, or the session has ended."""
        if self.held:
            self.held.set()
            assert self.free.wait(60)
        type(self).unchanged += not self.has_ended
        self.send_response(302 if self.has_ended else 304)
        self.send_header("Content-Length", "0")
        if self.has_ended:
            self.send_header("Set-Cookie", 'sessionid=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/')
        self.end_headers()

    def log_message(self, *_):
        """Nothing: it would land in the output of the tests."""


@pytest.fixture(scope="module")
def nginx(tmp_path_factory):
    """The port of nginx with our configuration; pages are kept for a minute, so that no test depends on speed."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("no nginx on this machine")
    folder = tmp_path_factory.mktemp("nginx")
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), Counting)
    port = ports.remembered(folder / "ports.json", "nginx")
    configuration = (PROJECT / "deploy/nginx.conf").read_text()
    for old, new in (
        ("web:8000", f"127.0.0.1:{upstream.server_port}"),
        ("live:8001", f"127.0.0.1:{upstream.server_port}"),
        ("listen 80 backlog=8192", f"listen 127.0.0.1:{port}"),
        ("/tmp/nginx-pages", str(folder / "pages")),
        ("302 403 404 1s;", "302 403 404 60s;"),
        ("include mime.types", "include /etc/nginx/mime.types"),
    ):
        assert old in configuration
        configuration = configuration.replace(old, new)
    (folder / "nginx.conf").write_text(configuration)
    # Root's workers would be somebody who may not enter the folders of the tests.
    who = "user root;" if os.geteuid() == 0 else ""
    options = f"daemon off; pid {folder}/pid; error_log {folder}/error.log; {who}"
    command = [program, "-c", folder / "nginx.conf", "-p", folder, "-e", folder / "error.log", "-g", options]
    with ExitStack() as cleanup:
        cleanup.callback(upstream.server_close)
        cleanup.callback(upstream.shutdown)
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        cleanup.callback(process.wait)
        cleanup.callback(process.terminate)
        until(lambda: process.poll() is None and answers(port), 20, lambda: (folder / "error.log").read_text())
        yield port


def answers(port):
    try:
        return get(port, "/ready-or-not")
    except OSError:
        return False


def get(port, path, method="GET", **headers):
    return whole(port, path, method, **headers)[1]


def whole(port, path, method="GET", **headers):
    """(status, text) of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, text


def test_a_page_is_kept_for_its_session_alone(nginx):
    first = get(nginx, "/own", Cookie="sessionid=ann")
    assert get(nginx, "/own", Cookie="sessionid=ann") == first
    other = get(nginx, "/own", Cookie="sessionid=bob")
    assert b"sessionid=bob" in other
    assert get(nginx, "/own", Cookie="sessionid=ann") == first


def test_who_has_written_is_shown_a_new_page(nginx):
    before = get(nginx, "/written", Cookie="sessionid=ann")
    assert get(nginx, "/written", Cookie="sessionid=ann; written=1") != before


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer a", "Cookie": "sessionid=ann"}, {"Cookie": "written=1"}]
)
def test_without_a_session_or_with_a_token_nothing_is_kept(nginx, headers):
    assert get(nginx, "/open", **headers) != get(nginx, "/open", **headers)


def test_what_sets_a_cookie_and_what_changes_something_is_never_kept(nginx):
    cookie = {"Cookie": "sessionid=ann"}
    assert get(nginx, "/sets-cookie", **cookie) != get(nginx, "/sets-cookie", **cookie)
    assert get(nginx, "/post", "POST", **cookie) != get(nginx, "/post", "POST", **cookie)
    assert get(nginx, "/secret", **cookie) != get(nginx, "/secret", **cookie)


def test_a_page_is_for_one_csrf_secret_as_its_forms_hang_on_it(nginx):
    assert get(nginx, "/form", Cookie="sessionid=ann; csrftoken=a") != get(
        nginx, "/form", Cookie="sessionid=ann; csrftoken=b"
    )


def test_who_reloads_a_page_gets_a_new_one(nginx):
    cookie = {"Cookie": "sessionid=ann"}
    assert get(nginx, "/reloaded", **cookie) != get(nginx, "/reloaded", Cache_Control="no-cache", **cookie)


def test_a_fragment_asked_for_because_something_changed_is_never_one_from_before(nginx):
    cookie = {"Cookie": "sessionid=ann"}
    page = get(nginx, "/both", **cookie)
    fragments = {get(nginx, "/both", HX_Request="true", **cookie) for _ in range(2)}
    assert len(fragments | {page}) == 3
    assert get(nginx, "/both", **cookie) == page


def test_a_page_that_did_not_change_is_not_asked_for_again_but_checked(nginx):
    cookie = {"Cookie": "sessionid=ann"}
    page, checked = get(nginx, "/expired/same", **cookie), Counting.unchanged
    assert get(nginx, "/expired/same", **cookie) == page
    assert Counting.unchanged == checked + 1


def test_while_one_waits_for_a_page_anew_all_others_get_the_one_before(nginx, monkeypatch):
    cookie = {"Cookie": "sessionid=ann"}
    page = get(nginx, "/expired/held", **cookie)
    monkeypatch.setattr(Counting, "held", threading.Event())
    monkeypatch.setattr(Counting, "free", threading.Event())
    with ThreadPoolExecutor(1) as first:
        waiting = first.submit(get, nginx, "/expired/held", **cookie)
        assert Counting.held.wait(60)
        asked = Counting.asked
        assert {get(nginx, "/expired/held", **cookie) for _ in range(20)} == {page}
        assert Counting.asked == asked
        assert not waiting.done()
        Counting.free.set()
        assert waiting.result(60) == page


def test_the_answer_to_a_session_that_has_ended_takes_the_place_of_its_page(nginx, monkeypatch):
    cookie = {"Cookie": "sessionid=ann"}
    assert whole(nginx, "/expired/ended", **cookie)[0] == 200
    monkeypatch.setattr(Counting, "has_ended", True)
    assert whole(nginx, "/expired/ended", **cookie)[0] == 302
    asked = Counting.asked
    assert whole(nginx, "/expired/ended", **cookie)[0] == 302
    assert Counting.asked == asked


def test_every_change_renews_the_cookie_that_proxies_look_at(client, db):
    first = client.post("/login/", {"username": "x", "password": "y"}).cookies["written"]
    assert client.post("/login/", {"username": "x", "password": "y"}).cookies["written"].value != first.value
    assert first["httponly"]
    assert "written" not in client.get("/login/").cookies
    assert middleware.written


def test_a_program_that_is_none_is_refused_by_name(own_home):
    ended = manage(own_home, "run", "oracle")
    assert ended.returncode == 2
    assert "invalid choice: 'oracle' (choose from" in ended.stderr


def test_everything_the_image_copies_is_there():
    copied = [line.split()[1] for line in (PROJECT / "Dockerfile").read_text().splitlines() if line.startswith("COPY ")]
    ours = [name for name in copied if not name.startswith("--from")]
    assert ours
    assert all((PROJECT / name).exists() for name in ours)
    allowed = (PROJECT / ".dockerignore").read_text().split()
    assert all(f"!{name}" in allowed for name in ours)


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load((PROJECT / "compose.yaml").read_text())["services"]


def test_containers_run_the_programs_of_a_server_and_say_when_they_work(services):
    ours = {name: one for name, one in services.items() if one["image"] == "orchestrator"}
    run = {one["command"][-1] for name, one in ours.items() if name != "prepare"}
    assert run == {one.name for one in programs.programs("127.0.0.1", 1, 2, stream_markets=True)}
    assert {name for name in ours if name != "prepare" and "prepare" not in ours[name]["depends_on"]} == set()
    known = {variable.name for variable in ENV}
    assert {name for one in ours.values() for name in one["environment"]} <= known
    # What is not started anew with those that it has looked up once would ask for containers that are gone.
    assert all(one["restart"] for one in services["nginx"]["depends_on"].values())
    assert services["nginx"]["depends_on"].keys() == {"web", "live"}
    # At the first start its socket answers before there is a database.
    assert "127.0.0.1" in services["postgres"]["healthcheck"]["test"]


def test_no_container_may_more_than_it_needs_or_fills_the_disk_with_its_log(services):
    for name, one in services.items():
        assert one["logging"]["options"]["max-size"] == "20m", name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert one["image"] == "orchestrator" or re.fullmatch(r"[a-z]+:[\d.]+-bookworm", one["image"]), name
        if one["image"] == "orchestrator":
            assert (one["read_only"], one["cap_drop"], one["init"]) == (True, ["ALL"], True), name
    assert [name for name, one in services.items() if "ports" in one] == ["nginx"]
    assert services["nginx"]["ports"] == ["${LISTEN:-127.0.0.1:8080}:80"]
    (user,) = re.findall(r"^USER (\w+)$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)
    assert user != "root"


def test_the_settings_of_a_server_behind_tls_pass_djangos_checks(own_home):
    tls = {"CSRF_TRUSTED_ORIGINS": "https://bots.example.org", "ALLOWED_HOSTS": "bots.example.org"}
    ended = manage(own_home, "check", "--deploy", "--fail-level", "WARNING", **tls)
    assert ended.returncode == 0, ended.stderr
    assert "no issues" in ended.stdout


def test_every_command_and_program_that_operations_names_is_there():
    text = (PROJECT / "docs/operations.md").read_text()
    named = set(re.findall(r"manage\.py ([a-z_]+)", text))
    assert len(named) > 12
    assert named <= set(get_commands())
    (programs_named,) = re.findall(r"enable --now orchestrator@\{([a-z,]+)\}", text)
    assert programs_named.split(",") == [one.name for one in programs.programs("127.0.0.1", 1, 2)]
    unit = (PROJECT / "deploy/orchestrator@.service").read_text()
    assert "ExecStart=/opt/orchestrator/.venv/bin/python manage.py run %i\n" in unit
    assert "\nKillMode=mixed\n" in unit
