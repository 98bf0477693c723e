"""The source listing that many logs begin with, cut out exactly so that its hash can be compared.

The root script writes its own text to the log file, then a line of 100 `=`. Later scripts write
`Source code:` between two such lines first. Only these two shapes are cut; a listing without the
closing line gives no hash.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from verifier.intake.syntax import Broken, syntax_of

RULER = "=" * 100
_FEWEST_LINES = 3
_CODE_WORDS = ("import ", "from ", '"""', "'''", "#", "def ", "class ", "exec(", "#!")


@dataclass(frozen=True)
class Listing:
    """Lines `first` to `last` (from 1, inclusive) of the log are source text."""

    first: int
    last: int
    source: str
    sha256: str


def find_listing(lines: list[str]) -> Listing | None:
    """The embedded source, or None."""
    rulers = [index for index, line in enumerate(lines) if RULER in line and line.rstrip() == RULER]
    if not rulers:
        return None
    first = 0
    for index in rulers:
        if index >= 1 and lines[index - 1].strip() == "Source code:":
            first = index + 1
            break
    following = [index for index in rulers if index > first]
    start = next((line for line in lines[first : first + 40] if line.strip()), "")
    if not following or not start.lstrip("\ufeff").startswith(_CODE_WORDS):
        return None
    last = next((index for index in following if _is_header(lines, index + 1)), following[0])
    if last - first < _FEWEST_LINES and not start.startswith(("import", "exec", "from")):
        return None
    text = "\n".join(lines[first:last])
    if isinstance(syntax_of(text), Broken):
        return None
    return Listing(
        first + 1, last, text, hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()
    )


def _is_header(lines: list[str], index: int) -> bool:
    return index < len(lines) and lines[index].startswith("Running Python")
