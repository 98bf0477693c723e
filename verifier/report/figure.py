"""A figure that matplotlib draws, as the SVG that a page wants: classes instead of colours, and words for who cannot see.

An artist's gid is the class of its marks, and the page's style gives the colours, so that one picture suits light and
dark and a policy that forbids inline style. matplotlib is imported by the first picture: an audit without one waits
for nothing.
"""

from __future__ import annotations

import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from verifier.report.wording import clean, number

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

GROUND = 0
"""The zorder of areas, under the grid."""
WIDTH, HEIGHT = 420, 250
"""Points, which are units of the picture: about one pixel in a column of a page and on a phone alike."""
POINTS_PER_INCH = 72
LOOK = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so text is measured alike everywhere
    "font.size": 13,  # of a phone's, so that there is room for it
    "axes.labelsize": "medium",
    "axes.titlesize": "medium",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "xtick.labelsize": "medium",
    "ytick.labelsize": "medium",
    "xtick.major.size": 0,
    "xtick.major.pad": 4,
    "ytick.major.size": 0,
    "ytick.major.pad": 4,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.xmargin": 0,
    "legend.fontsize": "medium",
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.2,
    "legend.borderpad": 0.1,
    "legend.borderaxespad": 0.3,
    "text.parse_math": False,
    "path.simplify": False,
    "svg.fonttype": "none",
}
NAMED_BY_MATPLOTLIB = re.compile(r".*_\d+")
SVG = "{http://www.w3.org/2000/svg}"
ANCHOR = re.compile(r"text-anchor: (\w+)")
DECIMAL = re.compile(r"-?\d+\.\d+(?:e[-+]?\d+)?")


class Drawing:
    """One picture with one pair of axes. `slug` makes its ids; `title` and `words` are what a screen reader says."""

    def __init__(self, slug: str, title: str, words: str, x_words: str, y_words: str) -> None:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import TightLayoutEngine

        self._slug, self._title, self._words = slug, title, words
        self._named: list[tuple[Artist, str]] = []
        size = (WIDTH / POINTS_PER_INCH, HEIGHT / POINTS_PER_INCH)
        self._figure = Figure(figsize=size, layout=TightLayoutEngine(pad=0.2), frameon=False)
        self.axes: Axes = self._figure.add_subplot()
        self.axes.patch.set_visible(False)
        self.axes.spines["bottom"].set_gid("rule")
        self.axes.set_xlabel(x_words, gid="axis")
        self.axes.set_title(y_words, gid="axis")

    def span(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        """The values that the axes show, whatever is drawn; what is empty is one wide."""
        self.axes.set_xlim(x[0], x[1] if x[1] > x[0] else x[0] + 1)
        self.axes.set_ylim(y[0], y[1] if y[1] > y[0] else y[0] + 1)

    def ticks(self, x: Callable[[float], str] = number, log: bool = False) -> None:
        """A few round values along both axes; `x` words one of the first axis. Powers of ten upwards with `log`."""
        from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

        if log:
            self.axes.set_yscale("log")
            self.axes.yaxis.set_minor_locator(NullLocator())
        steps = [1, 2, 5, 10]
        self.axes.xaxis.set_major_locator(MaxNLocator(5, steps=steps))
        self.axes.yaxis.set_major_locator(LogLocator(numticks=6) if log else MaxNLocator(6, steps=steps))
        for axis, words in ((self.axes.xaxis, x), (self.axes.yaxis, number)):
            axis.set_major_formatter(FuncFormatter(lambda value, _, words=words: words(float(value) or 0.0)))

    def line(
        self, points: Iterable[tuple[float, float]], kind: str, name: str | None = None, **how: Any
    ) -> None:
        """`name` is for the legend; `how` is what `Axes.plot` takes."""
        (made,) = self.axes.plot(*zip(*points, strict=True), gid=kind, **how)
        self._name(made, name)

    def dots(self, points: Iterable[tuple[float, float]], kind: str) -> None:
        """Lines of no length, whose round ends the page's style draws: the smallest that a dot can be."""
        from matplotlib.collections import LineCollection

        self.axes.add_collection(
            LineCollection([(at, at) for at in points], gid=f"dots {kind}"), autolim=False
        )

    def bars(
        self, spans: Iterable[tuple[float, float, float, float]], kind: str, name: str | None = None
    ) -> None:
        """Of each its left, right, lower and upper edge; `name` is for the legend."""
        from matplotlib.collections import PolyCollection

        corners = [[(a, low), (a, high), (b, high), (b, low)] for a, b, low, high in spans]
        made = PolyCollection(corners, gid=kind)
        self.axes.add_collection(made, autolim=False)
        self._name(made, name)

    def _name(self, made: Artist, name: str | None) -> None:
        if name is not None:
            self._named.append((made, clean(name)))

    def note(
        self, words: str, at: tuple[float, float], offset: tuple[float, float] = (0, 0), **how: Any
    ) -> None:
        """Words beside a point, `offset` in units of the picture; `how` is what `Axes.annotate` takes."""
        self.axes.annotate(
            clean(words), at, offset, textcoords="offset points", gid="note", in_layout=False, **how
        )

    def legend(self, **where: Any) -> None:
        """Of all that was given a name; `where` is what `Axes.legend` takes, its best place if nothing."""
        made = self.axes.legend(
            [artist for artist, _ in self._named], [name for _, name in self._named], **where
        )
        made.set_in_layout(False)  # a long name may leave the picture, and never shrinks it
        for handle, (artist, _) in zip(made.legend_handles, self._named, strict=True):
            if handle is not None:
                handle.set_gid(artist.get_gid() or "")
        for text in made.get_texts():
            text.set_gid("note")

    def svg(self) -> str:
        """The picture for a page: no style, no size and no id but those of its words."""
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        for axis in (self.axes.xaxis, self.axes.yaxis):
            for tick in axis.get_major_ticks():
                tick.label1.set_gid("tick")
                tick.gridline.set_gid("grid")
        made = io.BytesIO()
        with warnings.catch_warnings():
            # The reader's own fonts draw what a submission names; that ours lacks a letter only shifts the measure.
            warnings.filterwarnings("ignore", message=r"Glyph \d+")
            FigureCanvasSVG(self._figure).print_svg(made, metadata={"Date": None})  # type: ignore[no-untyped-call]
        root = ET.Element(
            "svg",
            {
                "viewBox": f"0 0 {WIDTH} {HEIGHT}",
                "role": "img",
                "aria-labelledby": f"{self._slug}-title {self._slug}-words",
            },
        )
        ET.SubElement(root, "title", {"id": f"{self._slug}-title"}).text = clean(self._title)
        ET.SubElement(root, "desc", {"id": f"{self._slug}-words"}).text = clean(self._words)
        for kind, mark in _marks(ET.fromstring(made.getvalue()), ""):
            _add(root, kind, mark)
        return ET.tostring(root, encoding="unicode")


@contextmanager
def drawing(slug: str, title: str, words: str, x_words: str = "", y_words: str = "") -> Iterator[Drawing]:
    """A picture to draw in, under one look whatever the user's own settings of matplotlib are."""
    from matplotlib import style

    with style.context(["default", LOOK]):
        yield Drawing(slug, title, words, x_words, y_words)


def _marks(element: ET.Element, kind: str) -> Iterator[tuple[str, ET.Element]]:
    """Paths and texts in the order in which they are drawn, each with the gid of the artist that made it."""
    for child in element:
        if child.tag == f"{SVG}g":
            gid = child.get("id", "")
            yield from _marks(child, gid if gid and not NAMED_BY_MATPLOTLIB.fullmatch(gid) else kind)
        elif child.tag in (f"{SVG}path", f"{SVG}text"):
            yield kind, child


def _add(root: ET.Element, kind: str, mark: ET.Element) -> None:
    """Neighbouring paths of one class become one."""
    if mark.tag == f"{SVG}path":
        drawn = re.sub(r"\s*([MLCQz])\s*", r"\1", DECIMAL.sub(_short, mark.get("d", ""))).strip()
        if root[-1].tag == "path" and root[-1].get("class") == kind:
            root[-1].set("d", root[-1].get("d", "") + drawn)
        else:
            ET.SubElement(root, "path", {"class": kind, "d": drawn})
        return
    at = {name: DECIMAL.sub(_short, mark.get(name, "")) for name in ("x", "y")}
    anchor = ANCHOR.search(mark.get("style", ""))
    said = ET.SubElement(root, "text", {"class": kind, **at, "text-anchor": anchor[1] if anchor else "start"})
    said.text = mark.text


def _short(found: re.Match[str]) -> str:
    return f"{float(found[0]):.1f}".removesuffix(".0")
