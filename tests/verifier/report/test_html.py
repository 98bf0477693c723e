"""The page: self-contained, inert whatever a submission wrote, and complete without its script."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verifier.report import samples
from verifier.finding import State, Where
from verifier.report.html import render_html
from verifier.report.json import read_report, render_json
from verifier.report.model import FlipSeries, Report, Series, Snippet
from verifier.report.pictures import pictures

VOID = {"meta", "link", "br", "img", "input", "hr", "area", "base", "col", "embed", "source", "wbr"}
EVIL = (
    "</script></code><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{7*7}}{% raw %}]]>\u202e\x1b"
)


class Page(HTMLParser):
    """Elements, attributes and text, and whether what was opened was closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        (self.scripts if self.open and self.open[-1] in ("script", "style") else self.texts).append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def values(self, name: str) -> list[str]:
        return [value for _, each, value in self.attributes if each == name]


def evil_report(text: str = EVIL) -> Report:
    where = Where(f"{text}.py", 3, text)
    finding = samples.finding(
        text,
        text,
        State.FAIL,
        text,
        where,
        rules=(text,),
        try_next=text,
        replayable=True,
        one=text,
        **{f"many {text}": [text]},
    )
    made = samples.drawn()
    assert made.series is not None
    assert made.series.timeline is not None
    (flip,), gains = made.series.flips, made.series.gains
    return replace(
        samples.report(finding),
        submission=replace(made.submission, name=text, path=text, script=text, wrapper=text, track=text),
        rules=(replace(samples.RULES[0], id=text, title=text, text=text, status=text, sources=(text,)),),
        legal={text: text},
        snippets=(Snippet(f"{text}.py", 2, (text, text, text)),),
        files=(replace(samples.FILES[0], path=text),),
        series=Series(
            (replace(flip, run=text),),
            tuple(replace(each, run=text, label=text) for each in gains),
            replace(made.series.timeline, label=text),
        ),
    )


@pytest.mark.parametrize("name", samples.ALL)
def test_the_page_is_well_formed_and_asks_for_nothing(name: str) -> None:
    page = Page(render_html(samples.ALL[name]()))
    assert page.values("src") == []
    assert not page.tags.keys() & {"link", "img", "iframe", "object", "embed", "form", "base"}
    assert {value[:1] for value in page.values("href")} <= {"#", "h"}
    assert "url(" not in "".join(page.scripts)
    assert "@import" not in "".join(page.scripts)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {value[1:] for value in page.values("href") if value.startswith("#")} <= set(ids)


def test_the_policy_names_the_pages_own_style_and_script_by_their_digests() -> None:
    text = render_html(samples.cheat())
    (policy,) = [value for value in Page(text).values("content") if "default-src" in value]
    for tag in ("style", "script"):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_what_a_submission_wrote_stays_text() -> None:
    usual, page = Page(render_html(samples.drawn())), Page(render_html(evil_report()))
    assert page.tags["script"] == usual.tags["script"] == 2
    assert page.tags["img"] == 0
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.text
    assert "{{7*7}}" in page.text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x1b]", page.text)


@cache
def plain_page() -> Page:
    return Page(render_html(evil_report("x")))


hostile = st.text(st.characters() | st.sampled_from("<>&\"'`/{}%\u202e\u2028\n"), max_size=30)


@settings(max_examples=25, deadline=None)
@given(hostile)
def test_no_text_adds_an_element_or_an_attribute(text: str) -> None:
    plain, page = plain_page(), Page(render_html(evil_report(text)))
    kinds = {(tag, name) for tag, name, _ in page.attributes}
    assert kinds <= {(tag, name) for tag, name, _ in plain.attributes}
    assert page.tags.keys() <= plain.tags.keys() | {"code"}
    assert page.tags["script"] == 2


def test_the_data_in_the_page_are_the_report() -> None:
    for report in (samples.drawn(), evil_report()):
        (data,) = re.findall(
            r'<script type="application/json" id="report-json">(.*?)</script>', render_html(report), re.DOTALL
        )
        assert json.loads(data) == json.loads(render_json(report))


def test_a_report_read_back_gives_the_same_page() -> None:
    report = samples.drawn()
    assert render_html(read_report(render_json(report))) == render_html(report)


def test_the_page_says_verdict_numbers_rule_line_legal_way_and_replay() -> None:
    text = Page(render_html(samples.drawn(), saved_as="out/report.json")).text
    for words in (
        "NON-COMPLIANT",
        "0.39642",
        "Strict causal dependence",
        "community text, applied by organizers",
        "score a chunk first, then train on it (#549)",
        "1744",
        "loss = F.cross_entropy(logits + delta, targets)",
        "pgolf-verify replay out/report.json --finding C1-flip",
    ):
        assert words in text
    assert text.index("NON-COMPLIANT") < text.index("0.39642") < text.index("C1-flip")


def test_the_legal_way_comes_from_the_page_of_a_check_that_only_warned() -> None:
    report = samples.report(samples.SLOT_WARN)
    page = Page(render_html(report, {"S1-slot": "Words.\n\nLegal contrast: score it first,\nthen learn."}))
    assert "The legal way: score it first, then learn." in page.text


def test_every_picture_says_in_words_what_it_shows() -> None:
    drawn = pictures(samples.drawn())
    assert [each.slug for each in drawn] == ["influence", "gain", "near", "timeline", "seeds"]
    for each in drawn:
        assert f'aria-labelledby="{each.slug}-title {each.slug}-words"' in each.svg
        assert each.words
    assert drawn[0].words.startswith("47 scores moved that had been committed before")
    assert "31,844 bits under the floor" in drawn[1].words


def test_a_legal_flip_is_said_to_leave_its_side_empty() -> None:
    flip = FlipSeries(
        "flip 1", (4, 6), 9, 1, (0,) * 9, (0,) * 6 + (1,) * 3, (0.0,) * 9, 2, (0.0, 0.0, None, None, 0.1)
    )
    made = pictures(samples.report(series=Series((flip,))))
    assert made[0].words.startswith("No scores moved that had been committed before")
    assert 'class="bad' not in made[0].svg
    assert 'class="dots bad"' not in made[1].svg
    assert 'class="bad shade' in pictures(samples.drawn())[0].svg


def test_without_a_run_only_the_seeds_are_drawn() -> None:
    assert [each.slug for each in pictures(samples.documents())] == ["seeds"]
    assert pictures(samples.honest()) == ()


def test_evidence_that_was_edited_does_not_break_the_seeds() -> None:
    for reach in ({"written": "x", "practice": None}, [1], {"written": float("inf")}, 7):
        finding = samples.finding("S1-seeds", "t", State.PASS, "m", reach=reach)
        assert "seeds" in [each.slug for each in pictures(samples.report(finding))]


@pytest.mark.parametrize("value", [1e30, -1e300, 1.7e308, float("inf"), float("nan"), 0.0, None])
def test_numbers_of_any_size_are_drawn_or_left_out(value: float | None) -> None:
    made = samples.drawn().series
    assert made is not None
    flip, gain = made.flips[0], made.gains[0]
    edited = Series(
        (replace(flip, near_nats=(value,) * len(flip.near_nats)),),
        (replace(gain, gain_bits=(value,) * len(gain.gain_bits)),),
    )
    slugs = [each.slug for each in pictures(samples.report(series=edited))]
    assert slugs == ["influence", "gain", "near", "seeds"]
