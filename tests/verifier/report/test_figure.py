"""A drawn figure as a page wants it: no style, no foreign id, the same bytes, and text that stays text."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib
import pytest

from tests.verifier.report import samples
from verifier.report.figure import drawing
from verifier.report.pictures import pictures


def drawn(name: str = "a name") -> ET.Element:
    with drawing("slug", "title", "words", "across", "upwards") as picture:
        picture.span((0, 10), (0, 2_000_000))
        picture.ticks()
        picture.line([(0, 0), (10, 2_000_000)], "curve good", name)
        picture.dots([(1, 5), (2, 6)], "bad")
        picture.note(name, (5, 5))
        picture.legend()
        return ET.fromstring(picture.svg())


def test_a_picture_has_classes_where_matplotlib_has_style_and_no_id_but_those_of_its_words() -> None:
    for each in pictures(samples.drawn()):
        root = ET.fromstring(each.svg)
        elements = list(root.iter())
        assert {element.tag for element in elements} == {"svg", "title", "desc", "path", "text"}
        names = {name for element in elements for name in element.attrib}
        assert names <= {"viewBox", "role", "aria-labelledby", "id", "class", "d", "x", "y", "text-anchor"}
        assert [element.get("id") for element in elements if element.get("id")] == [
            f"{each.slug}-title",
            f"{each.slug}-words",
        ]
        assert all(element.get("class") for element in root[2:])
        assert len(each.svg) < 25_000


@pytest.mark.parametrize("name", ["$x^2$", "$\\frac{1}{", "_hidden", "\\", "%", "日本 🙂", "-->", ""])
def test_a_name_is_shown_as_it_was_written(name: str) -> None:
    notes = [text.text or "" for text in drawn(name).iter("text") if text.get("class") == "note"]
    assert notes.count(name) == (2 if name else len(notes))


def test_what_is_in_the_picture_fits_it_and_ticks_are_worded_as_in_the_text() -> None:
    root = drawn()
    ticks = {text.text: text for text in root.iter("text") if text.get("class") == "tick"}
    assert {"0", "10", "1,000,000", "2,000,000"} <= ticks.keys()
    # Seven digits and two commas at the phone's 13 units, in a font as wide as usual ones are.
    assert float(ticks["2,000,000"].get("x", "")) > (7 * 0.63 + 2 * 0.31) * 13
    assert all(0 <= float(text.get("x", "")) <= 420 for text in root.iter("text"))
    assert all(0 <= float(text.get("y", "")) <= 250 for text in root.iter("text"))


def test_dots_are_one_path_of_lines_without_length() -> None:
    (dots,) = [path for path in drawn().iter("path") if path.get("class") == "dots bad"]
    first, second = [part.split("L") for part in dots.get("d", "").split("M")[1:]]
    assert first[0] == first[1] != second[0] == second[1]


def test_a_picture_is_the_same_each_time_whatever_the_users_own_settings() -> None:
    usual = pictures(samples.drawn())
    with matplotlib.rc_context({"font.size": 30, "axes.grid": False, "text.parse_math": True}):
        assert pictures(samples.drawn()) == usual
        assert matplotlib.rcParams["font.size"] == 30


def test_matplotlib_waits_for_the_first_picture() -> None:
    asked = "import sys, verifier.report.html; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
