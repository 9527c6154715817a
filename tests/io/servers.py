"""Local servers that are slow or fail on purpose: HTTP, and as much of S3 as s3fs asks for."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SILENT = -1
MODIFIED = "Mon, 01 Jan 2024 00:00:00 GMT"


@dataclass
class Objects:
    """What a server holds, what it was asked for, and how it answers."""

    contents: dict[str, bytes] = field(default_factory=dict)
    """By path, without the first slash."""
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Number of requests by method and path, failed ones included."""
    fails: Callable[[str, str, int], int | None] = lambda method, path, number: None
    """Returns a status to fail with (0: the connection is cut; SILENT: no answer comes) for the
    n-th request of a path."""
    silence: threading.Event = field(default_factory=threading.Event)
    """Set when the test is over: requests without an answer end."""
    together: int = 0
    """The first chunks are answered once so many were asked for at a time; 0: at once."""
    most: int = 0
    """Most chunks that were asked for at the same time."""
    waiting: int = 0
    ready: threading.Condition = field(default_factory=threading.Condition)

    @property
    def asked(self) -> list[tuple[str, str]]:
        """The requests until now; others may come while one looks at them."""
        with self.ready:
            return list(self.requests)

    def count(self, method: str, path: str) -> int:
        """Count a request; return how often it was made."""
        with self.ready:
            self.requests[method, path] += 1
            return self.requests[method, path]

    def wait(self, path: str, timeout: float) -> None:
        """Hold a request for a chunk until enough were asked for at a time, or for some seconds."""
        if path.endswith((".json", ".zarray", ".zattrs", ".zgroup")):
            return
        with self.ready:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            self.ready.notify_all()
            if self.together:
                self.ready.wait_for(lambda: self.most >= self.together, timeout)
            self.waiting -= 1


class Handler(BaseHTTPRequestHandler):
    """Answers GET, HEAD, PUT, DELETE, POST (many deletions), and GET of a bucket with a listing."""

    protocol_version = "HTTP/1.1"
    objects: Objects

    def handle_any(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path).lstrip("/")
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        objects, method = self.objects, self.command
        status = objects.fails(method, path, objects.count(method, path))
        if status == 0:
            self.close_connection = True
            return
        if status == SILENT:
            objects.silence.wait(60)
            self.close_connection = True
            return
        if status is not None:
            self.answer(status, b"<Error><Code>ServiceUnavailable</Code></Error>")
        elif method == "PUT":
            objects.contents[path] = unchunked(body) if self.is_signed_in_chunks() else body
            self.answer(200, b"", ETag='"0"')
        elif method == "DELETE":
            objects.contents.pop(path, None)
            self.answer(204, b"")
        elif method == "POST":
            self.delete_many(path, body)
        elif "list-type" in parse_qs(url.query):
            self.list_bucket(path, parse_qs(url.query))
        elif path in objects.contents:
            objects.wait(path, 60)
            self.send(objects.contents[path])
        else:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = handle_any

    def is_signed_in_chunks(self) -> bool:
        return "aws-chunked" in self.headers.get("Content-Encoding", "")

    def send(self, content: bytes) -> None:
        spans = (self.headers.get("Range") or "").removeprefix("bytes=").split("-")
        if len(spans) == 2 and spans[0]:
            start, stop = int(spans[0]), int(spans[1] or len(content) - 1) + 1
            part = content[start:stop]
            total = f"bytes {start}-{start + len(part) - 1}/{len(content)}"
            self.answer(206, part, **{"Content-Range": total})
        else:
            self.answer(200, content)

    def delete_many(self, bucket: str, body: bytes) -> None:
        for item in body.decode().split("<Key>")[1:]:
            self.objects.contents.pop(f"{bucket.rstrip('/')}/{item.partition('</Key>')[0]}", None)
        self.answer(200, b"<DeleteResult></DeleteResult>")

    def list_bucket(self, bucket: str, query: dict[str, list[str]]) -> None:
        bucket = bucket.rstrip("/")
        prefix, delimiter = query.get("prefix", [""])[0], query.get("delimiter", [""])[0]
        keys = sorted(p.removeprefix(f"{bucket}/") for p in list(self.objects.contents))
        keys = [key for key in keys if key.startswith(prefix)]
        folders = set()
        if delimiter:
            tails = {key: key.removeprefix(prefix) for key in keys}
            folders = {prefix + t.split(delimiter)[0] + "/" for t in tails.values() if "/" in t}
            keys = [key for key, tail in tails.items() if delimiter not in tail]
        parts = [
            f"<Contents><Key>{escape(key)}</Key><Size>{len(content)}</Size>"
            f"<ETag>&quot;{md5(content).hexdigest()}&quot;</ETag>"
            "<LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>"
            for key, content in ((key, self.objects.contents[f"{bucket}/{key}"]) for key in keys)
        ]
        parts += [
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
            for name in sorted(folders)
        ]
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(parts)}"
        self.answer(200, f"{text}</ListBucketResult>".encode())

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", MODIFIED)
        self.send_header("Accept-Ranges", "bytes")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Print nothing."""


def unchunked(body: bytes) -> bytes:
    """Return the content of a body in signed chunks: ``size;signature``, bytes, and so on."""
    content = b""
    while body:
        head, _, body = body.partition(b"\r\n")
        size = int(head.split(b";")[0] or b"0", 16)
        if not size:
            break
        content, body = content + body[:size], body[size + 2 :]
    return content


def serve(objects: Objects) -> Iterator[str]:
    """Serve the objects as long as the generator lives; yields the server's URL."""
    handler = type("BoundHandler", (Handler,), {"objects": objects})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    objects.silence.set()
    server.shutdown()
    thread.join()
    server.server_close()
