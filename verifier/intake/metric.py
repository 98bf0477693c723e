"""Logged metrics: pairs of loss and bits per byte on a line, with the label in front of them.

Contest logs print about 1,200 spellings; nearly all are `label key:number key:number`, with `=` or
`:`, one or both of the two numbers, and now and then two ranks' outputs run together on one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from verifier.submission import Metric

_PAIR = re.compile(
    r"(?P<key>[A-Za-z_][A-Za-z0-9_./@-]{0,60}?)"
    r"(?:\s{0,3}\([\w /]{1,16}\))?"
    r"(?:\s{0,3}(?:[:=]|\bis\b)\s{0,12}|(?:(?<=bpb)|(?<=val_loss))\s{1,12}(?=\d+\.\d{3}))"
    r"(?P<number>[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf)(?![\w.]*\.\d)"
    r"(?P<unit>ms|s|m|min|sec)?(?![a-zA-Df-z0-9%])?"
)
_BPB_KEY = re.compile(r"(?:^|[_./-])(?:bpb|vb|rb|bits_per_byte)$|bpb(?:_exact)?$", re.IGNORECASE)
_LOSS_KEY = re.compile(
    r"^(?:val_?loss|vl|loss|rl|nll|.*[_./-]val_loss|.*val_loss(?:_exact)?|eval_loss|test_loss)$",
    re.IGNORECASE,
)
_BARE_KEY = re.compile(r"^(?:val[_ ]?)?(?:bpb|loss)$|^v[lb]$", re.IGNORECASE)
_TIME_KEY = re.compile(
    r"^(?:.*_)?(?:eval_time|elapsed|time|took|eval_time_ms|dur|wall)(?:_ms|_s)?$", re.IGNORECASE
)
_TRAJECTORY = re.compile(
    r"\bstep\s*[:=]?\s*\d+|^\s*\d+\s*/\s*\d+|chunks?\s*[:=\[]?\s*\d+|\[\s*\d+|\b\d+/\d+\b|progress|"
    r"\bbatch(?:es)?\s*[:=\[]?\s*\d+|epoch\s*[:=]?\s*\d+|\d\s*%|running|\bttp:|\biter\w*\s*[:=]?\s*\d+|warmup|windows|"
    r"\bep\d+\b|\bdocs?\s*[:=]?\s*\d+\s*/|train_loss",
    re.IGNORECASE,
)
_NOISE = re.compile(
    r"^(?:\[(?:rank|default)\d+\]:?\s*|\[?\d{4}-\d\d-\d\d[T ][\d:.,]+Z?\]?\s*(?:-\s*)?"
    r"(?:(?:INFO|DEBUG|WARNING|ERROR)\s+)?(?:-\s*)?|"
    r"\[?\d\d:\d\d:\d\d(?:\.\d+)?\]\s*|\(\w+ pid=\d+\)\s*|[IWE]\d{4} [\d:.]+ \d+ \S+\]\s*|INFO:\s*)+"
)
_LABEL_END = re.compile(r"[\s:=|>,;({\[*`'\"-]+$")
_LABEL_START = re.compile(r"^[\s:=|>,;)}\]*`'\"#-]+")
_SPACE = re.compile(r"\s+")
_MAX_LABEL = 120
_MAX_PER_LINE = 64


_COUNT = re.compile(r"\d{4,}")
_UNIT = re.compile(r"[ _](?:val_)?(?:bpb|loss)$")


def same_label(first: str, second: str) -> bool:
    """Whether two labels name one number: counts in them differ by scale, and a unit may end the one."""
    return _bare(first) == _bare(second)


def _bare(label: str) -> str:
    return _UNIT.sub("", _COUNT.sub("#", label))


@dataclass(frozen=True)
class _Number:
    key: str
    start: int
    end: int
    value: float
    digits: int
    unit: str | None


def metrics_of_line(line: str, number: int) -> Iterator[Metric]:
    """The metrics on one line. `number` is the line's number, from 1."""
    lowered = line.lower()
    named = "bpb" in lowered or "val_loss" in lowered or "bits_per_byte" in lowered or " vb" in lowered
    short = ("loss" in lowered or "ttp:" in lowered) and ("rb" in lowered or "vb" in lowered)
    if not (named or short):
        return  # most lines of a log have a `train_loss` alone
    clean = _NOISE.sub("", line)
    groups = _groups(clean)
    cut, trajectory = 0, False
    for index, group in enumerate(groups):
        first, last = group[0], group[-1]
        stop = groups[index + 1][0].start if index + 1 < len(groups) else len(clean)
        bpb = next((each for each in group if _BPB_KEY.search(each.key)), None)
        loss = next((each for each in group if not _BPB_KEY.search(each.key)), None)
        tail = list(_numbers(clean, last.end, stop))
        prefix = clean[cut : first.start]
        cut = _tail_end(clean, last.end, tail)
        label = _label(prefix, first, bpb, loss)
        if _LABEL_START.sub("", prefix) or index == 0:
            trajectory = False  # a new label; without one this group continues the last one's line
        trajectory = trajectory or bool(_TRAJECTORY.search(prefix)) or "running" in first.key.lower()
        trajectory = trajectory or any(
            each.key.lower().endswith(("train_time", "train_loss")) for each in tail
        )
        trajectory = trajectory or first.key.lower() in ("rl", "rb")
        yield Metric(
            label=label,
            val_loss=None if loss is None else loss.value,
            val_bpb=None if bpb is None else bpb.value,
            loss_digits=0 if loss is None else loss.digits,
            bpb_digits=0 if bpb is None else bpb.digits,
            line=number,
            final=not trajectory,
            eval_ms=_eval_ms(tail),
        )


def _groups(line: str) -> list[list[_Number]]:
    """Neighbouring loss and bpb numbers belong together; a second of a kind starts a new group."""
    groups: list[list[_Number]] = []
    open_kinds: set[str] = set()
    for found in _numbers(line, 0, len(line)):
        if len(groups) > _MAX_PER_LINE:
            break
        if found.digits == 0 and "." not in line[found.start : found.end]:
            continue
        kind = "bpb" if _BPB_KEY.search(found.key) else "loss" if _LOSS_KEY.match(found.key) else ""
        if not kind:
            continue
        near = groups and found.start - groups[-1][-1].end < 24
        if groups and near and kind not in open_kinds and _same_family(groups[-1][0].key, found.key):
            groups[-1].append(found)
            open_kinds.add(kind)
        else:
            groups.append([found])
            open_kinds = {kind}
    has_bpb = any(_BPB_KEY.search(each.key) for group in groups for each in group)
    return [
        group
        for group in groups
        if any(_BPB_KEY.search(each.key) for each in group)
        or (not has_bpb and group[0].key.lower().endswith("val_loss"))
    ]


def _same_family(first: str, second: str) -> bool:
    """`bl`/`bb` and `rl`/`rb` pair with each other; the spelled-out keys pair freely."""
    short = {"rl", "rb"}
    return (first.lower() in short) == (second.lower() in short)


def _numbers(line: str, start: int, stop: int) -> Iterator[_Number]:
    for match in _PAIR.finditer(line, start, stop):
        text = match["number"]
        try:
            value = float(text)
        except ValueError:
            continue
        if value != value or value in (float("inf"), float("-inf")):
            continue
        mantissa = text.lower().partition("e")[0]
        digits = len(mantissa.partition(".")[2])
        if "e" in text.lower():
            digits = max(0, digits - int(text.lower().partition("e")[2]))
        yield _Number(match["key"], match.start(), match.end("number"), value, digits, match["unit"])


def _tail_end(line: str, start: int, tail: list[_Number]) -> int:
    """Where this metric's own trailing numbers end, and the next rank's label may begin."""
    for each in tail:
        if _TIME_KEY.match(each.key):
            return each.end + len(each.unit or "")
    return tail[-1].end + len(tail[-1].unit or "") if tail else start


def _label(prefix: str, first: _Number, bpb: _Number | None, loss: _Number | None) -> str:
    named = next(
        (each.key for each in (bpb, loss) if each is not None and not _BARE_KEY.match(each.key)), None
    )
    text = _LABEL_START.sub("", _LABEL_END.sub("", prefix[-4 * _MAX_LABEL :]))
    if named is not None:
        text = f"{text} {named}" if text else named
    elif not text:
        text = first.key
    return _SPACE.sub(" ", text).lower()[-_MAX_LABEL:]


def _eval_ms(tail: list[_Number]) -> float | None:
    for each in tail:
        if _TIME_KEY.match(each.key):
            if each.unit == "ms" or each.key.lower().endswith("_ms"):
                return each.value
            if each.unit in ("s", "sec") or each.key.lower().endswith("_s"):
                return each.value * 1000.0
            if each.unit in ("m", "min"):
                return each.value * 60_000.0
    return None
