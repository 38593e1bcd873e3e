"""A small object store that speaks as much of S3's protocol as clients need, in this process."""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

FORBIDDEN = "forbidden"  # a bucket that nobody may use
_VARIABLES = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}


class ObjectStore(ThreadingHTTPServer):
    """Objects in memory; `requests` are (method, key, range) of all that was asked for.

    `ranges` is whether parts of objects can be read; `refuse` names methods that are answered with
    503, as by a store that has no room left.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.requests: list[tuple[str, str, str]] = []
        self.refuse: set[str] = set()
        self.ranges = True

    def variables(self) -> dict[str, str]:
        """What a client's environment needs."""
        return {**_VARIABLES, "AWS_ENDPOINT_URL": self.url}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ObjectStore

    def log_message(self, *_):
        pass

    def _begin(self):
        parts = urlsplit(self.path)
        self.key = unquote(parts.path).strip("/")
        self.query = parse_qs(parts.query, keep_blank_values=True)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((self.command, self.key, self.headers.get("Range", "")))
        if self.key.split("/")[0] == FORBIDDEN:
            return self._fail(403, "AccessDenied")
        if self.command in self.server.refuse:
            return self._fail(507, "NoSpace")
        return True

    def _answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _fail(self, status, code):
        self._answer(status, f"<Error><Code>{code}</Code></Error>".encode())

    def do_GET(self):
        if not self._begin():
            return
        if "list-type" in self.query:
            return self._list()
        content = self.server.objects.get(self.key)
        if content is None:
            return self._fail(404, "NoSuchKey")
        status, part, more = 200, content, {}
        if self.server.ranges:
            more["Accept_Ranges"] = "bytes"
            if given := self.headers.get("Range"):
                first, last = given.removeprefix("bytes=").split("-")
                first, last = int(first), min(int(last or len(content)), len(content) - 1)
                status, part = 206, content[first : last + 1]
                more["Content_Range"] = f"bytes {first}-{last}/{len(content)}"
        if self.command == "HEAD":
            more["Content_Length"] = str(len(content))
        self.send_response(status)
        for name, value in {**_facts(content), **more}.items():
            self.send_header(name.replace("_", "-"), value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(part)

    do_HEAD = do_GET

    def do_PUT(self):
        if not self._begin():
            return
        if "uploadId" in self.query:
            parts = self.server.uploads[self.query["uploadId"][0]]
            parts[int(self.query["partNumber"][0])] = self.body
        else:
            self.server.objects[self.key] = self.body
        self._answer(200, ETag=_facts(self.body)["ETag"])

    def do_POST(self):
        if not self._begin():
            return
        if "uploads" in self.query:
            name = str(len(self.server.uploads))
            self.server.uploads[name] = {}
            return self._answer(
                200,
                f"<InitiateMultipartUploadResult><UploadId>{name}</UploadId>"
                "</InitiateMultipartUploadResult>".encode(),
            )
        if "delete" in self.query:
            keys = re.findall(r"<Key>(.*?)</Key>", self.body.decode())
            for key in keys:
                self.server.objects.pop(f"{self.key}/{unescape(key)}", None)
            gone = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
            return self._answer(200, f"<DeleteResult>{gone}</DeleteResult>".encode())
        parts = self.server.uploads.pop(self.query["uploadId"][0])
        self.server.objects[self.key] = b"".join(parts[number] for number in sorted(parts))
        tag = _facts(self.server.objects[self.key])["ETag"]
        self._answer(
            200,
            f"<CompleteMultipartUploadResult><ETag>{escape(tag)}</ETag>"
            "</CompleteMultipartUploadResult>".encode(),
        )

    def do_DELETE(self):
        if self._begin():
            self.server.objects.pop(self.key, None)
            self._answer(204)

    def _list(self):
        """The objects and "folders" below a prefix, all in one answer."""
        prefix, bucket = self.query.get("prefix", [""])[0], self.key
        delimiter = self.query.get("delimiter", [""])[0]
        found, folders = [], set()
        for key, content in sorted(self.server.objects.items()):
            if not key.startswith(f"{bucket}/{prefix}"):
                continue
            rest = key[len(bucket) + 1 + len(prefix) :]
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.split(delimiter)[0] + delimiter)
                continue
            facts = _facts(content)
            found.append(
                f"<Contents><Key>{escape(key[len(bucket) + 1 :])}</Key><Size>{len(content)}</Size>"
                f"<ETag>{escape(facts['ETag'])}</ETag>"
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            )
        below = [
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
            for name in sorted(folders)
        ]
        text = "".join([*found, *below])
        self._answer(
            200,
            f"<ListBucketResult><IsTruncated>false</IsTruncated>{text}</ListBucketResult>".encode(),
        )


def _facts(content: bytes) -> dict[str, str]:
    return {
        "ETag": f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"',
        "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
    }
