"""A server that answers as it is told, and remembers what it was asked."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from xumx_jax.client import Client


class Handler(BaseHTTPRequestHandler):
    """Answers requests with `self.server.answers`: functions of the handler, the last repeats."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.close_connection = True
        self.server.asked.append((self.command, self.path, dict(self.headers)))
        if self.command == "POST":
            self.rfile.read(int(self.headers["Content-Length"]))
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    do_POST = do_DELETE = do_GET

    def log_message(self, *_):
        pass

    def send(self, status, body=b"", length=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def answering(*answers):
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as fake:
        fake.answers, fake.asked = list(answers), []
        thread = threading.Thread(target=fake.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield fake, Client(f"http://127.0.0.1:{fake.server_port}/below", "secret", patience=5)
        finally:
            fake.shutdown()
            thread.join()
