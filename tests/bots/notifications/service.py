"""A service on loopback that channels send to: it notes what it is sent and answers as it is told."""

from __future__ import annotations

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Service:
    """got: the messages, in their order; headers: of the last. status: of the answers. gate: closed, answers wait.

    nonsense: answers with a header that is none.
    """

    def __init__(self):
        self.got, self.status, self.location = [], 200, ""
        self.headers, self.nonsense = {}, False
        self.gate, self.reached = threading.Event(), threading.Event()
        self.gate.set()
        outer = self

        class Answers(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append(json.loads(body))
                outer.headers = dict(self.headers)
                outer.reached.set()
                outer.gate.wait(60)
                self.send_response(outer.status)
                if outer.location:
                    self.send_header("Location", outer.location)
                self.send_header("Content-Length", "0")
                if outer.nonsense:
                    self._headers_buffer.append(b"no header\r\n")
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self._server.handle_error = lambda *arguments: None  # who asked may be killed meanwhile
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self._server.server_port

    def address(self, token="s3cr3t"):
        return f"json://127.0.0.1:{self.port}/{token}"

    def texts(self):
        return [f"{one['title']}\n{one['message']}" for one in self.got]

    def close(self):
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()


class MailServer:
    """As much of SMTP as it takes to be handed a mail; got: the mails, as they came."""

    def __init__(self):
        self.got = []
        outer = self

        class Session(socketserver.StreamRequestHandler):
            def handle(self):
                self.wfile.write(b"220 here\r\n")
                while line := self.rfile.readline():
                    word = line[:4].upper().strip()
                    if word == b"DATA":
                        self.wfile.write(b"354 go on\r\n")
                        outer.got.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
                    self.wfile.write(ANSWERS.get(word, b"250 well\r\n"))
                    if word == b"QUIT":
                        return

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


ANSWERS = {b"EHLO": b"250-here\r\n250 AUTH PLAIN LOGIN\r\n", b"AUTH": b"235 well\r\n", b"QUIT": b"221 bye\r\n"}
