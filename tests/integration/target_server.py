"""What tools call in tests: an HTTP(S) server that counts, fails and hangs as
it is told, and an SMTP server that keeps what it was sent."""

import http.server
import json
import ssl
import threading

from certificates import self_signed

TIMEOUT = 20


class Call:
    def __init__(self, handler, body):
        self.method, self.path = handler.command, handler.path
        self.headers = handler.headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def handle_any(self):
        length = int(self.headers.get("content-length") or 0)
        call = Call(self, self.rfile.read(length))
        target = self.server.target
        with target.changed:
            target.calls.append(call)
            n = len(target.calls)
            target.changed.notify_all()
        name = self.path.split("?")[0].strip("/").split("/")[0]
        getattr(self, f"do_{name}", self.do_echo)(call, n)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = handle_any

    def reply(self, status, body=b"", **headers):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("content_type", "application/json")
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_echo(self, call, n):
        self.reply(200, {"n": n, "method": call.method, "path": call.path,
                         "headers": {k.lower(): v for k, v
                                     in call.headers.items()},
                         "body": call.body.decode("utf-8", "replace")})

    def do_status(self, call, n):
        self.reply(int(call.path.split("/")[2]), b"no such luck")

    def do_fail(self, call, n):
        """The first N calls: /fail/N/STATUS."""
        _, _, times, status = call.path.split("/")
        if n <= int(times):
            self.reply(int(status), b"later", retry_after="0")
        else:
            self.reply(200, {"n": n})

    def do_busy(self, call, n):
        self.reply(503, b"", retry_after="3600")

    def do_hold(self, call, n):
        self.server.target.release.wait(TIMEOUT)
        self.reply(200, {"n": n})

    def do_hang(self, call, n):
        self.server.target.release.wait(TIMEOUT)

    def do_drop(self, call, n):
        """Takes the request and closes."""
        self.close_connection = True

    def do_big(self, call, n):
        self.send_response(200)
        self.send_header("content-length", str(10 << 20))
        self.end_headers()
        try:
            for _ in range(160):
                self.wfile.write(b"x" * 65536)
        except OSError:
            pass

    def do_redirect(self, call, n):
        """/redirect/STATUS/URL"""
        _, _, status, to = call.path.split("/", 3)
        self.reply(int(status), b"", location=to)

    def do_text(self, call, n):
        self.reply(200, b"caf\xc3\xa9", content_type="text/plain")


class Target:
    """scheme://127.0.0.1:port, in threads of its own."""

    def __init__(self, tls=None):
        self.calls, self.changed = [], threading.Condition()
        self.release = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Handler)
        self.server.daemon_threads = True
        self.server.target = self
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket,
                                                 server_side=True)
        self.port = self.server.server_port
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    def wait(self, n):
        """Until it was called n times."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.calls) >= n,
                                         TIMEOUT), f"{len(self.calls)} calls"

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


def certificate(directory):
    """A certificate for 127.0.0.1 and localhost, and the context to serve
    it: its path, and an ssl.SSLContext."""
    cert, private = self_signed(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, private)
    return cert, context
