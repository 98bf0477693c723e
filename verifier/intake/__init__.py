"""Reading a contest folder into a `Submission`, without executing any of it.

`load_submission` raises only when there is no folder to read; everything else that is wrong becomes
a `Problem`, and the rest of the folder is still read.
"""

from __future__ import annotations

import re
from pathlib import Path

from verifier.finding import Where
from verifier.intake.claim import ClaimFile, bpb_as_loss, read_claim, track_of
from verifier.intake.command import read_command
from verifier.intake.folder import Folder, IntakeError, open_folder
from verifier.intake.logs import may_be_log, read_log
from verifier.intake.script import read_script
from verifier.intake.text import decode_text
from verifier.submission import Claim, Log, Problem, Submission, Track

__all__ = ["IntakeError", "load_submission"]

_CLAIM_NAME = "submission.json"
_CLAIM_NAMES = re.compile(r"submission[-_][\w.-]*\.json")
"""A claim by a name of its own, as `submission_ternary.json` (#640)."""
_MAX_LOGS = 200


def load_submission(folder: Path) -> Submission:
    """Read an unmodified contest folder. Raises IntakeError when there is nothing to read."""
    opened = open_folder(folder)
    claimed = _read_claim(opened)
    script = read_script(opened)
    logs, log_problems = _read_logs(opened)
    claimed = bpb_as_loss(claimed, logs)
    readme = _read_readme(opened)
    track = claimed.track
    if track is Track.UNKNOWN:
        track = next((t for part in reversed(opened.root.parts) if (t := track_of(part)) is not track), track)
    return Submission(
        root=opened.root,
        name=claimed.claim.name or opened.root.name,
        track=track,
        files=opened.files,
        script=script.script,
        claim=claimed.claim,
        logs=logs,
        command=read_command(opened, script.script, logs, readme, claimed.claim),
        readme=readme,
        problems=(*opened.problems, *claimed.problems, *script.problems, *log_problems),
    )


def _read_claim(folder: Folder) -> ClaimFile:
    named = {file.path: file.path.rpartition("/")[2].lower() for file in folder.files}
    paths = [path for path in named if named[path] == _CLAIM_NAME]
    paths = paths or [path for path in named if _CLAIM_NAMES.fullmatch(named[path])]
    paths.sort(key=lambda path: (path.count("/"), path))
    if not paths:
        message = (
            f"no {_CLAIM_NAME} in the folder; expected one with val_bpb, bytes_total, name, author, date"
        )
        return ClaimFile(Claim(), Track.UNKNOWN, (Problem("no-json", message, Where(".")),))
    first = _claim_at(folder, paths[0])
    if first.claim.val_bpb is not None:
        return first
    others = (_claim_at(folder, path) for path in paths[1:])
    return next((each for each in others if each.claim.val_bpb is not None), first)


def _claim_at(folder: Folder, path: str) -> ClaimFile:
    problems = []
    if path != _CLAIM_NAME:
        message = f"found {path}; expected {_CLAIM_NAME} at the top of the folder: read it anyway"
        problems.append(Problem("json-place", message, Where(path)))
    data = folder.read(path)
    if data is None:
        problems.append(Problem("json-unreadable", f"{path} cannot be read or is too large", Where(path)))
        return ClaimFile(Claim(where=Where(path)), Track.UNKNOWN, tuple(problems))
    read = read_claim(data, path)
    return ClaimFile(read.claim, read.track, (*problems, *read.problems))


def _read_logs(folder: Folder) -> tuple[tuple[Log, ...], list[Problem]]:
    logs: list[Log] = []
    problems: list[Problem] = []
    for file in folder.files:
        if not may_be_log(file.path) or (data := folder.read(file.path)) is None:
            continue
        read = read_log(data, file)
        problems += read.problems
        if read.log is not None:
            logs.append(read.log)
        if len(logs) >= _MAX_LOGS:
            message = f"over {_MAX_LOGS} logs: those after {file.path} were not parsed"
            problems.append(Problem("too-many-logs", message, Where(file.path)))
            break
    if not logs:
        message = "no log in the folder; expected the training log of each seed (train_seed42.log and so on)"
        problems.append(Problem("no-logs", message, Where(".")))
    return tuple(logs), problems


def _read_readme(folder: Folder) -> str | None:
    names = [file.path for file in folder.files if re.fullmatch(r"readme(\.\w+)*", file.path.lower())]
    for path in sorted(names, key=lambda path: (not path.lower().endswith(".md"), len(path))):
        if (data := folder.read(path)) is not None and (text := decode_text(data)) is not None:
            return text.text
    return None
