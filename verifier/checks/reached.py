"""N1: the run reached the number that stands for the claim."""

from __future__ import annotations

import re

from verifier.checks import check
from verifier.checks.probe_base import no_base
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, passed, unverified

_NO_LABEL = frozenset({"val_bpb", "val_loss", "bpb", "loss"})
"""A log that names the metric alone was written by hand: it says nothing of the script's own labels."""
_WORD = re.compile(r"[a-z0-9]+")


@check(
    "N1-reached",
    title="the run printed the number that is claimed",
    grade=Grade.PROBED,
    rules=("R-086",),
)
def reached_the_claim(evidence: Evidence) -> Outcome:
    """Scripts print several numbers, and the other probes look at the claimed one. When a run ends before it,
    they look at the last number that it did print, and what they PASS then says nothing about the claim.

    PASS: the base run printed a number under the label of the claim, or ran to its end where no label of the
    claim is known. UNVERIFIED: it did not.

    Cannot see: whether what ran at audit scale is what ran at full scale.

    Illegal: a script whose last, adapting evaluation raises outside its own machine, and whose plain
    evaluation is in order. Legal contrast: a script that prints its headline and then fails to upload it.

    Source: none ruled; a probe that did not run is no evidence.
    """
    record = evidence.probes
    if record is None or record.base is None:
        return no_base(record)
    base = record.base
    if record.headline is not None and record.headline not in _NO_LABEL:
        if base.pass_named(record.headline) is not None:
            return passed(f"the base run printed {record.headline}", label=record.headline)
        if not _names(evidence, record.headline):
            return unverified(
                f"the logs' claim is under {record.headline}, which the script nowhere prints: another version wrote them",
                try_next="ship the logs of the submitted script",
            )
        labels = list(dict.fromkeys(each.label for each in base.passes))
        ending = "ran to its end" if base.finished else f"ended early ({base.status}: {base.reason})"
        return unverified(
            f"the claim is {record.headline} in the logs; the base run {ending} and printed {', '.join(labels)}",
            try_next="document the environment of the run in the README, and make every stage run at small sizes",
            labels=labels,
        )
    if base.finished:
        return passed("the base run ran to its end, and no log says under which label the claim is printed")
    return unverified(
        f"the base run ended early ({base.status}: {base.reason}), and no log says under which label the claim is printed",
        try_next="ship logs that print the claimed number",
    )


def _names(evidence: Evidence, label: str) -> bool:
    """Whether the script's text holds the words of a label; it may put them together at run time."""
    script = evidence.submission.script
    if script is None or script.grammar == "none":
        return True
    root = evidence.submission.root
    siblings = [root / name for name in script.siblings if name.endswith(".py")]
    texts = [script.source, *(path.read_text(errors="replace") for path in siblings if path.is_file())]
    known = " ".join(texts).lower()
    return all(word in known for word in _WORD.findall(label) if not word.isdigit())
