"""The four requests to GitHub's REST API that publishing needs, and nothing else of it.

Source: docs.github.com/rest, API version 2022-11-28.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

API = "https://api.github.com"
TIMEOUT_SECONDS = 30.0
PAGE = 100
MAX_PAGES = 30
"""A pull request's files end at 3,000; a comment of ours is among the first."""
MAX_ANSWER_BYTES = 32 << 20
REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")


class ApiError(Exception):
    """GitHub did not answer, or refused."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to wherever it points."""

    def redirect_request(self, *args: Any) -> None:
        return None


@dataclass(frozen=True)
class GitHub:
    """A repository as seen through a token."""

    repository: str
    """OWNER/NAME"""
    token: str = field(repr=False)
    api: str = API

    def head(self, pr: int) -> str:
        """The commit that the pull request stands at now."""
        return str(self._ask("GET", f"pulls/{pr}")["head"]["sha"])

    def changes_workflows(self, pr: int) -> bool:
        """Whether the pull request touches what its own checks run by."""
        files = self._pages(f"pulls/{pr}/files")
        return any(
            str(each.get(key, "")).startswith(".github/")
            for each in files
            for key in ("filename", "previous_filename")
        )

    def comment(self, pr: int, marker: str, author: str) -> int | None:
        """The number of the author's comment that starts with the marker; None where there is none yet.

        Anybody can write the marker, so only a comment of our own is ever taken for ours.
        """
        for each in self._pages(f"issues/{pr}/comments"):
            own = (each.get("user") or {}).get("login") == author
            if own and str(each.get("body", "")).startswith(marker):
                return int(each["id"])
        return None

    def put_comment(self, pr: int, marker: str, author: str, body: str) -> bool:
        """Write the comment, or write over the one that is there; True where it was new."""
        number = self.comment(pr, marker, author)
        if number is None:
            self._ask("POST", f"issues/{pr}/comments", {"body": body})
        else:
            self._ask("PATCH", f"issues/comments/{number}", {"body": body})
        return number is None

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        for page in range(1, MAX_PAGES + 1):
            found = self._ask("GET", f"{path}?per_page={PAGE}&page={page}")
            yield from found
            if len(found) < PAGE:
                return

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"{self.api}/repos/{self.repository}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                "User-Agent": "pgolf-verify",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT_SECONDS) as answer:
                return json.loads(answer.read(MAX_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            error.close()
            raise ApiError(f"{method} {path}: HTTP {error.code} {error.reason}") from None
        except (OSError, ValueError) as error:
            raise ApiError(f"{method} {path}: {error}") from None
