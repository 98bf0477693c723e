"""A stand-in for GitHub's REST API: one repository with pull requests, their files and their comments."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Forge:
    """What the server holds, and what it was asked."""

    heads: dict[int, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    refuse: int = 0
    """Answer everything with this status."""
    url: str = ""

    def say(self, login: str, body: str) -> None:
        self.comments.append({"id": len(self.comments) + 1, "user": {"login": login}, "body": body})

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        if self.refuse:
            return self.refuse, {"message": "no"}
        page, size = (int(query.get(name, ["1"])[0]) for name in ("page", "per_page"))
        shown = slice((page - 1) * size, page * size)
        path = path.removeprefix("/repos/o/r/")
        if match := re.fullmatch(r"pulls/(\d+)", path):
            head = self.heads.get(int(match.group(1)))
            return (404, {}) if head is None else (200, {"head": {"sha": head}})
        if re.fullmatch(r"pulls/\d+/files", path):
            return 200, [{"filename": name} for name in self.files[shown]]
        if re.fullmatch(r"issues/\d+/comments", path) and method == "GET":
            return 200, self.comments[shown]
        if re.fullmatch(r"issues/\d+/comments", path):
            self.say("github-actions[bot]", body["body"])
            return 201, self.comments[-1]
        if (match := re.fullmatch(r"issues/comments/(\d+)", path)) and method == "PATCH":
            self.comments[int(match.group(1)) - 1]["body"] = body["body"]
            return 200, {}
        return 404, {}


@contextmanager
def forge() -> Iterator[Forge]:
    """The server, on a free port of this machine, for as long as the context lasts."""
    state = Forge()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            state.asked.append(f"{self.command} {parts.path}")
            state.tokens.add(self.headers.get("Authorization", ""))
            status, answer = state.answer(self.command, parts.path, parse_qs(parts.query), body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_PATCH = do_GET

        def log_message(self, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
