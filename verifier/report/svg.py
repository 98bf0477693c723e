"""A small canvas for the report's pictures: SVG with axes and classes, whose colours the page's style gives.

Text reaches a picture through `clean` and an XML writer, so nothing that a submission names can leave it.
The sizes suit a column of a page and the width of a phone alike: one unit is about one pixel there.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from verifier.report.wording import clean, number

WIDTH, HEIGHT = 420, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 16, 40


@dataclass(frozen=True)
class Scale:
    """Values to pixels along one axis, linear or in powers of ten."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(at)
        share = (at - low) / (high - low) if high > low else 0.5
        return round(self.start + min(max(share, 0.0), 1.0) * (self.stop - self.start), 1)

    def ticks(self, wanted: int = 5) -> list[float]:
        """Round values inside the range: 1, 2 or 5 times a power of ten apart, or every few powers."""
        if self.log:
            powers = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            return [10.0**power for power in powers[:: max(math.ceil(len(powers) / wanted), 1)]]
        if self.high <= self.low:
            return [self.low]
        rough = (self.high - self.low) / wanted
        power = 10.0 ** math.floor(math.log10(rough))
        step = next((factor * power for factor in (1, 2, 5) if factor * power >= rough), 10 * power)
        first = math.ceil(self.low / step)
        return [round(turn * step, 12) for turn in range(first, math.floor(self.high / step) + 1)]


class Canvas:
    """One picture. `slug` makes its element ids, `title` and `words` are what a screen reader says."""

    def __init__(self, slug: str, title: str, words: str) -> None:
        self._root = ET.Element(
            "svg",
            {
                "viewBox": f"0 0 {WIDTH} {HEIGHT}",
                "role": "img",
                "aria-labelledby": f"{slug}-title {slug}-words",
            },
        )
        ET.SubElement(self._root, "title", {"id": f"{slug}-title"}).text = clean(title)
        ET.SubElement(self._root, "desc", {"id": f"{slug}-words"}).text = clean(words)

    def x(self, low: float, high: float) -> Scale:
        return Scale(low, high, LEFT, WIDTH - RIGHT)

    def y(self, low: float, high: float, log: bool = False) -> Scale:
        return Scale(low, high, HEIGHT - BOTTOM, TOP, log)

    def axes(
        self,
        x: Scale,
        y: Scale | None,
        x_words: str,
        y_words: str = "",
        x_tick: Callable[[float], str] = number,
    ) -> None:
        """Rules, ticks and what they count; `x_tick` words a value of the first axis."""
        for value in x.ticks():
            self.text(x(value), HEIGHT - BOTTOM + 15, x_tick(value) if value else "0", "tick", "middle")
        self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 7, x_words, "axis", "middle")
        if y is not None:
            for value in y.ticks():
                self.line(LEFT, y(value), WIDTH - RIGHT, y(value), "grid")
                self.text(LEFT - 5, y(value) + 4, tick_words(value), "tick", "end")
        self.line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "rule")
        if y_words:
            self.text(2, 10, y_words, "axis", "start")

    def legend(self, *entries: tuple[str, str]) -> None:
        """What each kind of mark stands for, above the picture on the right."""
        right = WIDTH - RIGHT
        for kind, words in reversed(entries):
            self.text(right, 10, words, "note", "end")
            right -= 7 * len(words) + 12
            self.rect(right, 3, 7, 7, kind)
            right -= 12

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        self._add("line", kind, x1=x1, y1=y1, x2=x2, y2=y2)

    def rect(self, x: float, y: float, width: float, height: float, kind: str, share: float = 1.0) -> None:
        """`share` from 0 to 1 thins the colour."""
        faint = {} if share >= 1.0 else {"opacity": round(0.25 + 0.75 * share, 2)}
        self._add(
            "rect",
            kind,
            x=x,
            y=y,
            width=max(round(width, 1), 1.6),
            height=max(round(height, 1), 1.0),
            **faint,
        )

    def path(self, points: Iterable[tuple[float, float]], kind: str) -> None:
        """A line through all points."""
        self._add("path", kind, d="M" + "L".join(f"{_plain(x)} {_plain(y)}" for x, y in points))

    def dots(self, points: Iterable[tuple[float, float]], kind: str) -> None:
        """Many small marks in one element: lines of no length with round ends."""
        drawn = "".join(f"M{_plain(x)} {_plain(y)}h0" for x, y in points)
        if drawn:
            self._add("path", f"dots {kind}", d=drawn)

    def circle(self, x: float, y: float, radius: float, kind: str) -> None:
        self._add("circle", kind, cx=x, cy=y, r=radius)

    def polygon(self, points: Iterable[tuple[float, float]], kind: str) -> None:
        self._add("polygon", kind, points=" ".join(f"{_plain(x)},{_plain(y)}" for x, y in points))

    def text(self, x: float, y: float, words: str, kind: str, anchor: str) -> None:
        element = self._add("text", kind, x=x, y=y)
        element.set("text-anchor", anchor)
        element.text = clean(words)

    def svg(self) -> str:
        return ET.tostring(self._root, encoding="unicode")

    def _add(self, tag: str, kind: str, **attributes: float | str) -> ET.Element:
        given = {
            name: value if isinstance(value, str) else _plain(value) for name, value in attributes.items()
        }
        return ET.SubElement(self._root, tag, {"class": kind, **given})


def tick_words(value: float) -> str:
    """`12,000`, `0.003` or `1e-07`."""
    return number(value) if value else "0"


def _plain(value: float) -> str:
    return (
        f"{value:.1f}".rstrip("0").rstrip(".")
        if abs(value) > 2
        else f"{value:.2f}".rstrip("0").rstrip(".") or "0"
    )
