"""For each check a legal folder, an illegal one, and a legal one that looks illegal: `python -m tests.docs.examples`.

Nothing is invented for the pages: static checks take the sources that their own tests judge, probes the entries of
the corpus of cheats, and checks of documents one edit of that corpus's folder. `test_pages` runs the checks on them.
"""

from __future__ import annotations

import argparse
import difflib
import inspect
import itertools
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.cheats.corpus import BASE, Entry, write_folder
from tests.cheats.mutants import ENTRIES
from tests.redteam import corpus
from tests.verifier.checks import test_static
from verifier.checks import Check, load_checks
from verifier.finding import Grade, State

ROOT = Path(__file__).parents[2]
KINDS = ("legal", "illegal", "lookalike")
HONEST = next(entry for entry in ENTRIES if entry.name == "honest")


@dataclass(frozen=True)
class Example:
    """A folder that shows a check at work."""

    what: str
    state: State
    """What the check says of it."""
    script: str | None = None
    edits: Sequence[tuple[str, str, str]] = ()
    """Of the documents: file name or glob, old text, new text. Without an old text the new one is appended."""
    submission: str = ""
    """A folder of `submissions/` instead."""
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Beside the script."""
    shown: str = ""
    """What a page quotes."""

    def write(self, folder: Path) -> Path:
        """The folder, which must not exist yet."""
        if self.submission:
            shutil.copytree(ROOT / "submissions" / self.submission, folder)
            return folder
        write_folder(folder, BASE.read_text() if self.script is None else self.script)
        if self.environment:
            words = " ".join(f"{name}={value}" for name, value in self.environment.items())
            readme = folder / "README.md"
            readme.write_text(readme.read_text().replace("SEED=1337", f"SEED=1337 {words}"))
        for name, text in self.files.items():
            (folder / name).write_text(text)
        for glob, old, new in self.edits:
            for path in sorted(folder.glob(glob)):
                text = path.read_text()
                if old not in text:
                    raise ValueError(f"{path.name} has no {old!r}")
                path.write_text(text.replace(old, new) if old else text + new)
        return folder


LOGS = "*.log"


def documents(what: str, state: State, *edits: tuple[str, str, str]) -> Example:
    shown = "\n".join(
        f"{glob}:\n"
        + "\n".join(
            [*(f"- {line}" for line in old.splitlines()), *(f"+ {line}" for line in new.splitlines())]
        )
        for glob, old, new in edits
    )
    return Example(what, state, edits=edits, shown=shown)


def folder(name: str, what: str, state: State) -> Example:
    return Example(what, state, submission=name)


DOCUMENTS: dict[str, dict[str, Example]] = {
    "A1-artifact": {
        "illegal": documents(
            "a total over the cap",
            State.FAIL,
            (LOGS, "int8+zlib: 15863489 bytes", "int8+zlib: 16100000 bytes"),
        ),
        "lookalike": documents(
            "the raw checkpoint, which nobody ships, is over the cap",
            State.PASS,
            (LOGS, "Code size:", "Serialized model: 67224983 bytes\nCode size:"),
        ),
    },
    "B1-denominator": {
        "illegal": documents(
            "a leading space counted twice: the pair that #1698 published",
            State.FAIL,
            (LOGS, "fineweb_1024_bpe", "fineweb_8192_bpe"),
            (LOGS, "val_tokens:62021632", "val_tokens:40540160"),
            (LOGS, "", "final_int6_ttt_exact val_loss:3.07015325 val_bpb:1.00977880\n"),
            ("submission.json", "1.2347", "1.0097788"),
        ),
    },
    "B2-claim": {
        "illegal": documents("a claim that no log shows", State.WARN, ("submission.json", "1.2347", "1.1")),
        "lookalike": documents("a rounded claim", State.PASS, ("submission.json", "1.2347", "1.235")),
    },
    "D1-calibration-source": {
        "illegal": documents(
            "the log says that it calibrates on validation data",
            State.WARN,
            (LOGS, "Code size:", "gptq:calibrating on validation data\nCode size:"),
        ),
        "lookalike": documents(
            "calibration on text of the model's own",
            State.PASS,
            (LOGS, "Code size:", "gptq:calibrating on self-generated tokens\nCode size:"),
        ),
    },
    "D2-split": {
        "illegal": documents(
            "a ruled subset", State.FAIL, (LOGS, "val_tokens:62021632", "val_tokens:9662464")
        ),
        "lookalike": documents(
            "another tokenizer's whole stream",
            State.PASS,
            (LOGS, "val_tokens:62021632", "val_tokens:40540160"),
        ),
    },
    "D3-val-data": {
        "illegal": folder("paid_prefix", "an artifact that stores validation tokens", State.FAIL),
        "lookalike": documents(
            "a sentence that denies it",
            State.NOT_APPLICABLE,
            ("README.md", "", "\nThe model is never trained on validation data.\n"),
        ),
    },
    "L1-binding": {
        "illegal": documents("logs of a longer script", State.WARN, (LOGS, "Code size: ", "Code size: 9")),
    },
    "P1-package": {
        "illegal": documents("a claim that is no JSON", State.WARN, ("submission.json", "{", "")),
    },
    "S1-seeds": {
        "illegal": documents(
            "one seed in all logs", State.WARN, (LOGS, "world_size:8 seed:", "world_size:8 seed:1 was:")
        ),
    },
    "T1-training": {
        "illegal": documents(
            "11 minutes of training", State.FAIL, (LOGS, "train_time:596012ms", "train_time:660012ms")
        ),
        "lookalike": documents(
            "the step under way when the budget ended",
            State.PASS,
            (LOGS, "train_time:596012ms", "train_time:600052ms"),
        ),
    },
    "T2-evaluation": {
        "illegal": documents(
            "11 minutes of evaluation", State.FAIL, (LOGS, "eval_time:118.4s", "eval_time:660.4s")
        ),
        "lookalike": documents(
            "ten minutes to the second", State.PASS, (LOGS, "eval_time:118.4s", "eval_time:600.0s")
        ),
    },
    "T3-late-data": {
        "illegal": folder("late_calibration", "calibrates on training files after the budget", State.FAIL),
        "lookalike": folder("selfgen_gptq", "calibrates on text of its own", State.NOT_APPLICABLE),
    },
}

PROBES: dict[str, tuple[str, str]] = {
    "B3-bytes": ("space-counted-twice", "honest"),
    "C1-flip": ("future-mean", "sorted-documents"),
    "C1-window": ("mask-off-by-one", "grad-then-step"),
    "C2-mass": ("hashed-ngram", "prefix-cache"),
    "C3-context": ("slot-context-only", "score-first-ttt"),
    "C3-order": ("slot-scored-window", "multi-epoch-ttt"),
    "C4-ledger": ("skipped-hard-tokens", "fresh-models"),
    "C4-pick": ("best-of-two-experts", "prefix-cache"),
    "E1-floor": ("printed-one-percent-low", "tilt-with-z"),
    "V1-calibration": ("val-calibration", "random-calibration"),
}
"""The corpus's illegal entry that a check speaks about, and a legal one that looks like it."""
ATTACKS = {"H1-harness": "find-stack"}
"""A check of what attacks the audit itself, and an attack of the red team's corpus that it warns of."""
SPOKEN = {"C3-context": State.UNRULED, "C4-ledger": State.WARN}
"""What a probe says of its illegal entry, where that is no FAIL."""
ABSENT = ("D1-calibration-source", "D3-val-data", "T3-late-data")
"""Checks that an honest folder without the matter leaves with nothing to say."""


def examples_of(check: Check) -> dict[str, Example]:
    """By kind; a check that nothing in the corpus can break has the legal one alone."""
    silent = check.grade is Grade.STATIC or check.id in ABSENT
    silence = State.NOT_APPLICABLE if silent or check.id == "C0-decode" else State.PASS
    found = {"legal": Example("the honest folder of the corpus", silence)}
    if check.id in PROBES:
        illegal, lookalike = (_entry(name) for name in PROBES[check.id])
        found["illegal"] = _of_entry(illegal, SPOKEN.get(check.id, State.FAIL))
        if lookalike is not HONEST:
            found["lookalike"] = _of_entry(lookalike, silence)
        return found
    if check.id in ATTACKS:
        return found | {"illegal": _of_attack(ATTACKS[check.id])}
    if check.id == "X12-class-gate":
        return found | {"illegal": _gate("i", State.WARN), "lookalike": _gate("i - 1", State.NOT_APPLICABLE)}
    return found | (_recorded(check.id) if check.grade is Grade.STATIC else DOCUMENTS.get(check.id, {}))


def _gate(index: str, state: State) -> Example:
    """A gate in C beside the script, as its tests have it."""
    kernel = test_static.KERNEL % index
    script = f"{test_static.PRELUDE}boost = float(os.environ.get('WITHIN_BOOST', '0.75'))\nopen('ngram.c')\n"
    what = f"a gate that reads `tokens[{index}]`"
    return Example(what, state, script=script, files={"ngram.c": kernel}, shown=kernel.strip("\n"))


def _entry(name: str) -> Entry:
    return next(entry for entry in ENTRIES if entry.name == name)


def _of_attack(name: str) -> Example:
    attack = next(each for each in corpus.ATTACKS if each.name == name)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / name
        folder.mkdir()
        attack.write(folder)
        script = (folder / "train_gpt.py").read_text()
    return Example(attack.what, State.WARN, script=script, shown=_changed(script))


def _of_entry(entry: Entry, state: State) -> Example:
    script = entry.script()
    return Example(entry.what, state, script=script, shown=_changed(script))


def _changed(script: str) -> str:
    """Against the honest base."""
    diff = difflib.unified_diff(BASE.read_text().splitlines(), script.splitlines(), lineterm="", n=2)
    return "\n".join(line for line in itertools.islice(diff, 2, None) if not line.startswith("@@"))


# ---- the sources that the tests of the static checks judge --------------------------------------


@dataclass(frozen=True)
class _Judged:
    test: str
    id: str
    source: str
    environment: Mapping[str, str]
    states: frozenset[State]


def _recorded(id: str) -> dict[str, Example]:
    """The first source that the check warns of, and the first that looks like one and is not."""
    judged = [each for each in _judged(test_static) if each.id == id]
    warned = [each for each in judged if State.WARN in each.states]
    silent = [each for each in judged if State.WARN not in each.states]
    silent.sort(key=lambda each: "looks_illegal" not in each.test)
    found = {}
    for kind, cases in (("illegal", warned), ("lookalike", silent)):
        for case in cases[:1]:
            state = next(iter(case.states))
            found[kind] = Example(
                _words(case.test, "illegal" if kind == "illegal" else "legal"),
                State.WARN if State.WARN in case.states else state,
                script=test_static.PRELUDE + case.source,
                environment=case.environment,
                shown=case.source.strip("\n"),
            )
    return found


def _words(test: str, side: str) -> str:
    """A test's name as words. One test often judges both sides of a line."""
    words = re.sub(r"^test_(x\d+_)+(looks_illegal_)?", "", test).replace("_s_", "'s_").replace("_", " ")
    return words if "looks_illegal" in test or side == "illegal" else f"{words}: the legal side"


@cache
def _judged(module: ModuleType) -> tuple[_Judged, ...]:
    """Run the module's tests, and keep what each handed to a check and was told."""
    judged: list[_Judged] = []
    really_found = module.found

    def found(id: str, source: str, env: Mapping[str, str] | None = None, **fields: object) -> Any:
        outcomes = really_found(id, source, env, **fields)
        if not fields:
            states = frozenset(outcome.state for outcome in outcomes)
            judged.append(_Judged(test.__name__, id, source, env or {}, states))
        return outcomes

    module.found = found
    try:
        for test in [each for name, each in vars(module).items() if name.startswith("test_")]:
            for arguments in _parameters(test):
                test(**arguments)
    finally:
        module.found = really_found
    return tuple(judged)


def _parameters(test: Callable[..., None]) -> list[dict[str, Any]]:
    """What `parametrize` would hand over; nothing for a test that wants a fixture."""
    rows: list[dict[str, Any]] = [{}]
    for mark in getattr(test, "pytestmark", []):
        names = mark.args[0].replace(" ", "").split(",") if isinstance(mark.args[0], str) else mark.args[0]
        values = [
            each.values if hasattr(each, "values") and not isinstance(each, dict) else each
            for each in mark.args[1]
        ]
        cases = [dict(zip(names, value if len(names) > 1 else (value,), strict=True)) for value in values]
        rows = [row | case for row in rows for case in cases]
    wanted = set(inspect.signature(test).parameters)
    return [row for row in rows if set(row) == wanted]


def main(arguments: Sequence[str] | None = None) -> int:
    checks = {check.id: check for check in load_checks()}
    parser = argparse.ArgumentParser(
        prog="python -m tests.docs.examples", description="Write an example's folder."
    )
    parser.add_argument("check", choices=checks, metavar="CHECK")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    found = examples_of(checks[options.check])
    if options.kind not in found:
        parser.error(f"{options.check} has no {options.kind} example; it has: {', '.join(found)}")
    if options.folder.exists():
        parser.error(f"{options.folder} is there already")
    found[options.kind].write(options.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
