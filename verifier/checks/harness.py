"""H1: the script looked for what audits it."""

from __future__ import annotations

from verifier.checks import check
from verifier.checks.probe_base import no_base, site_where
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, passed, warned
from verifier.probe.tape import Reach

SHOWN = 6


@check(
    "H1-harness",
    title="the script does not look for its audit",
    grade=Grade.PROBED,
    rules=("R-086",),
)
def harness(evidence: Evidence) -> Outcome:
    """What the probes measure stands for the submission as long as it does the same when nobody looks.

    While the script runs, the audit notes when its own code asks for what no evaluation needs: the frames of
    its callers, all live objects, trace functions and audit hooks, the modes that torch calls go through, other
    processes in /proc, the verifier's modules, the audit's own files. A note leaves the process at once and
    cannot be taken back. The audit's modules and arguments are out of sight besides, so a script that goes by
    those alone finds none and is measured as it is.

    WARN: it asked, in any of the runs; what the other probes saw may then be a show, and a reader has to look
    at the lines. PASS: it did not.

    Cannot see: a script that tells an audit by its speed, its device or its size, or that reads memory in C.

    Illegal: peeking at the answer unless `sys._getframe()` shows a caller. Legal contrast: `sys.modules[__name__]`,
    `/proc/meminfo`, a compiler in a subprocess.

    Source: none ruled; no probe is evidence for what a script does elsewhere. Not one of the audited scripts of the
    contest asks for any of these.
    """
    record = evidence.probes
    if record is None or record.base is None and not any(run.tape.of(Reach) for run in record.runs):
        return no_base(record)
    found = {
        (reach.what, run.tape.stacks.get(reach.site, ())): site_where(evidence, run, reach.site)
        for run in record.runs
        for reach in run.tape.of(Reach)
    }
    if not found:
        return passed(
            "in no run did the script ask for its callers, for other processes or for the audit's files"
        )
    kinds = sorted({what for what, _ in found})
    return warned(
        f"the script asked for {', '.join(kinds)}: what it does when nobody looks may be something else",
        *list(dict.fromkeys(found.values()))[:SHOWN],
        asked=list(kinds),
    )
