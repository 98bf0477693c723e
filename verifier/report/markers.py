"""Tables that commands write into a page, between `<!-- name -->` and `<!-- /name -->`."""

from __future__ import annotations

from pathlib import Path


def between(page: Path, name: str) -> str:
    """What stands between the markers; raise ValueError when the page has none."""
    return _parted(page, name)[1].strip("\n")


def write_between(page: Path, name: str, text: str) -> None:
    """Replace what stands between the markers; raise ValueError when the page has none."""
    before, _, after = _parted(page, name)
    page.write_text(f"{before}\n{text}\n{after}", encoding="utf-8")


def _parted(page: Path, name: str) -> tuple[str, str, str]:
    """The page up to and with the opening marker, what follows, and the rest from the closing marker on."""
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(opening)
    inside, ended, after = rest.partition(closing)
    if not (found and ended):
        raise ValueError(f"{page} has no {opening} … {closing}")
    return before + opening, inside, closing + after
