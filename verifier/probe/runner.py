"""Run the probes of one audit: which streams, in which order, within which time.

The script runs whole, once for each stream: a uniform stream (the sharpest floor, and the base of every
comparison), the same stream with a block of tokens redrawn (twice, at different places), the same stream
again (the noise of the comparison), a small alphabet after some training (the floor for what only
works on a trained model). Scripts with hashed tables run on the uniform stream once more with tables cut
down to it (`stress`), and, when that number is a mixture, on the small alphabet too, where scoring
functions are called again. Runs go two at a time where there are two cores.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

from verifier.intake.environment import EnvRead, environment_reads
from verifier.intake.text import decode_text
from verifier.probe import workspace
from verifier.probe.bytefloor import bits_of_bytes
from verifier.probe.decoder import Setup, prove, read_artifact, why_no_artifact
from verifier.probe.decoding import Decoding, exposed_predictor
from verifier.probe.device import Device
from verifier.probe.ending import ending_of
from verifier.probe.floor import floor_of_scores, printed_bits
from verifier.probe.influence import missed_learning
from verifier.probe.job import Job
from verifier.probe.passes import find_passes
from verifier.probe.record import ProbeRecord, Run
from verifier.probe.replays import Replays, plan_replays
from verifier.probe.runs import Runs
from verifier.probe.sandbox import WORK, run_sandboxed
from verifier.probe.scale import (
    LADDER,
    Scale,
    Setting,
    literal_settings,
    literal_sizes,
    settings,
    vocab_size,
)
from verifier.probe.scratch import scratch_folder
from verifier.probe.stream import Stream
from verifier.probe.stress import SMALL_TABLES, SMALL_TABLES_TRAINED, find_tables
from verifier.probe.switches import implied_switches, logged_values
from verifier.probe.tape import Tape
from verifier.probe.tapefile import EVENTS, SCORES, read_tape
from verifier.probe.view import package_folders
from verifier.probe.vocabulary import Vocabulary
from verifier.stage import Progress, unheard
from verifier.submission import Script, Submission

FLIP_AT = (0.53, 0.23)
"""Where the redrawn blocks start, as fractions of the stream: off window, chunk and batch boundaries."""
FLIP_TOKENS = 96
SMALL_ALPHABET = 32
MIN_RUN_SECONDS = 5.0
SLOW_SHARE = 0.2
"""Of the time limit: a script whose first run takes longer is compared first and trained last."""
PACKAGE_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class _Planned:
    name: str
    stream: Stream
    scale: Scale
    watch: bool = False
    """Whether calls of scoring functions are counted, and those in `replays` made again with other targets."""
    replays: Replays = field(default_factory=dict)
    tables: tuple[int, ...] = ()
    """Sizes of hashed tables that are cut down to the stream."""


def run_probes(
    submission: Submission,
    *,
    seed: int | None = None,
    time_limit_seconds: float = 170.0,
    device: Device = Device.CPU,
    decode_tokens: int = 0,
    compare: bool = True,
    progress: Progress = unheard,
) -> ProbeRecord:
    """Run the script over the audit's streams, then decode `decode_tokens` tokens (the time limit once more).

    Without `compare` it runs on the base stream alone: enough for a decode proof. Never raises for what it does.
    """
    master = secrets.randbits(63) if seed is None else seed
    why = device.missing()
    if submission.script is None or submission.script.grammar == "none":
        why = "there is no script that can be run"
    elif not submission.script.source.strip():
        why = f"{submission.script.path} is empty"
    if submission.script is None or why is not None:
        return ProbeRecord(master, "none", (), attempts=(str(why),), device=device)
    audit = _Audit(submission, submission.script, master, time_limit_seconds, device, decode_tokens, progress)
    return audit.run(compare)


class _Audit:
    """The state of one audit: its deadline and the runs made so far."""

    def __init__(
        self,
        submission: Submission,
        script: Script,
        seed: int,
        limit_seconds: float,
        device: Device,
        decode_tokens: int,
        progress: Progress,
    ) -> None:
        self._submission = submission
        self._script = script
        self._seed = seed
        self._limit_seconds = limit_seconds
        self._device = device
        self._deadline = time.monotonic() + limit_seconds
        self._decode_tokens = decode_tokens
        self._exposed = exposed_predictor(submission.root, script) if decode_tokens else None
        self._runs = Runs(progress)
        self._sources = _sources(submission, script)
        self._reads = _environment_reads(self._sources)
        logged = _logged(submission, self._reads)
        given = {**logged, **submission.command.env}
        label = submission.head_metric_label
        self._implied = {**logged, **implied_switches(label, self._sources, self._reads, given)}
        self._isolation: Mapping[str, str] = {}

    def run(self, compare: bool) -> ProbeRecord:
        attempts: list[str] = []
        runs: list[Run] = []
        scale = LADDER[0]
        with self._runs:
            for rung in LADDER:
                scale = replace(rung, vocab_size=vocab_size(self._reads, self._submission.command.env, rung))
                vocabulary = Vocabulary.of_size(scale.vocab_size)
                base = vocabulary.uniform().draw(scale.tokens, (self._seed, 0))
                first, second = self._flips(base)
                pair = _Planned("uniform", base, scale), _Planned("flip 1", first, scale, watch=True)
                made = [run.result() for run in self._start(vocabulary, *pair[: 2 if compare else 1])]
                if runs and made[0].status == "not-run":
                    break  # what the last rung showed says more than that there was no time
                runs = made
                if runs[0].passes:
                    break
                attempts.append(f"{scale.name}: {runs[0].status}: {runs[0].reason}")
            if runs[0].passes and compare:
                small = replace(scale, iterations=scale.trained_iterations)
                narrow = vocabulary.small(SMALL_ALPHABET).draw(scale.trained_tokens, (self._seed, 1))
                compared = (
                    _Planned("flip 2", self._second_flip(runs[0], base) or second, scale),
                    _Planned("uniform again", base, scale, watch=True, replays=self._replays(runs[1])),
                )
                trained = _Planned("small alphabet", narrow, small)
                tables = find_tables(self._sources.values())
                stressed = (_Planned(SMALL_TABLES, base, scale, tables=tables),) if tables else ()
                # The longest run goes first, unless it would take the comparisons' time away.
                slow = runs[0].seconds > SLOW_SHARE * self._limit_seconds
                rest = self._start(
                    vocabulary,
                    *stressed,
                    *((*compared, trained) if slow else (trained, *compared)),
                )
                runs += [future.result() for future in rest]
                if tables and self._mixes(runs):
                    small = replace(scale, iterations=scale.mixed_iterations)
                    mixed = _Planned(
                        SMALL_TABLES_TRAINED, narrow, small, watch=True, replays=None, tables=tables
                    )
                    runs += [future.result() for future in self._start(vocabulary, mixed)]
        return ProbeRecord(
            seed=self._seed,
            scale=scale.name,
            runs=tuple(runs),
            settings=(*self._settings(scale), *literal_settings(self._sources, scale)),
            isolation=self._isolation,
            attempts=tuple(attempts),
            device=self._device,
            headline=self._submission.head_metric_label,
            decoding=self._decoding(runs[0], scale) if self._decode_tokens else None,
        )

    def _decoding(self, base: Run, scale: Scale) -> Decoding:
        """The decode proof, over the stream and with the artifact of the base run."""
        tokens, exposed = min(self._decode_tokens, base.stream.targets), self._exposed
        if exposed is None or base.artifact is None:
            return Decoding(tokens, why_no_artifact(exposed, base.status, base.reason), exposed)
        setup = Setup(
            folder=self._submission.root,
            script=self._script,
            exposed=exposed,
            artifact=base.artifact,
            vocabulary=Vocabulary.of_size(scale.vocab_size),
            stream=base.stream,
            train_seed=(self._seed, 3),
            sizes=literal_sizes(scale),
            environment=self._environment(scale),
            device=self._device,
        )
        return prove(setup, tokens, self._limit_seconds, self._runs.tell)

    def _flips(self, base: Stream) -> tuple[Stream, ...]:
        return tuple(
            base.flip(range(at, at + FLIP_TOKENS), (self._seed, 2)) for at in self._flip_starts(base)
        )

    @staticmethod
    def _flip_starts(base: Stream) -> list[int]:
        return [int(base.targets * fraction) for fraction in FLIP_AT]

    def _so_far(self, *runs: Run) -> ProbeRecord:
        """The record of an audit that goes on, to find the claim's pass in."""
        return ProbeRecord(self._seed, "", runs, headline=self._submission.head_metric_label)

    def _second_flip(self, run: Run, base: Stream) -> Stream | None:
        """A flip of what was learned from before its score, where the planned flips miss it."""
        record = self._so_far(run)
        head = record.headline_pass(run)
        if head is None or not head.reconciled:
            return None
        planned = [range(at, at + FLIP_TOKENS) for at in self._flip_starts(base)]
        block = missed_learning(run.tape, head, base.ids.size, planned)
        return None if block is None else base.flip(block, (self._seed, 2))

    def _replays(self, counted: Run) -> Replays:
        record = self._so_far()
        return plan_replays(counted.tape, record.headline_pass(counted))

    def _mixes(self, runs: Sequence[Run]) -> bool:
        """Whether the number that small tables gave is legal so far, and made of more than a cross entropy."""
        record = self._so_far(*runs)
        run = record.run(SMALL_TABLES)
        head = None if run is None else record.same_headline(run)
        if run is None or head is None or not head.reconciled:
            return False
        floor = floor_of_scores(head, run.stream, len(run.passes), self._device.rounding)
        return not floor.broken and not all(score.pure for score in head.scores)

    def _settings(self, scale: Scale, small_tables: bool = False) -> tuple[Setting, ...]:
        paths = Vocabulary.of_size(scale.vocab_size).data_paths()
        return settings(
            self._reads,
            self._submission.command.env,
            scale,
            paths,
            self._implied,
            self._sources.values(),
            small_tables=small_tables,
        )

    def _bits_of_bytes(self, stream: Stream, vocabulary: Vocabulary, tape: Tape) -> float | None:
        if printed_bits(tape, self._submission.head_metric_label) is None:
            return None
        return bits_of_bytes(stream, vocabulary.spelling)

    def _resized(self, planned: _Planned, tape: Tape) -> tuple[str, ...]:
        if not planned.tables:
            return ()
        usual = {each.name: each.value for each in self._settings(planned.scale)}
        small = self._settings(planned.scale, small_tables=True)
        prefix = f"{SMALL_TABLES}: "
        return (
            *(f"{s.name}={s.documented} made {s.value}" for s in small if usual.get(s.name) != s.value),
            *(name.removeprefix(prefix) for name in sorted(tape.uses) if name.startswith(prefix)),
        )

    def _start(self, vocabulary: Vocabulary, *planned: _Planned) -> list[Future[Run]]:
        return [self._runs.submit(self._one, each, vocabulary) for each in planned]

    def _one(self, planned: _Planned, vocabulary: Vocabulary) -> Run:
        left = self._deadline - time.monotonic()
        if self._runs.stop.is_set() or left < MIN_RUN_SECONDS:
            return self._not_run(planned, vocabulary, "no time was left")
        self._runs.tell(f"{planned.name}: running {self._script.path}")
        started = time.monotonic()
        with scratch_folder() as scratch:
            tree = scratch / "tree"
            tree.mkdir()
            workspace.build(
                tree,
                folder=self._submission.root,
                script=self._script,
                stream=planned.stream,
                vocabulary=vocabulary,
                train_seed=(self._seed, 3),
                sizes=literal_sizes(planned.scale),
                device=self._device,
                # Calls are made again in a forked copy of the process, and a CUDA context does not survive a fork.
                watch=planned.watch and self._device is Device.CPU,
                replays=planned.replays,
                tables=planned.tables,
            )
            outcome = run_sandboxed(
                Job(
                    argv=(sys.executable, "-B", "-m", "verifier.probe.child", WORK),
                    tree=tree,
                    env=self._environment(planned.scale, bool(planned.tables)),
                    limits=self._device.limits(left),
                    expose=self._device.expose(),
                    proc_writable=self._device is Device.CUDA,
                    cwd=f"{WORK}/{workspace.RUN}",
                    records=(scratch / EVENTS, scratch / SCORES),
                ),
                stop=self._runs.stop,
            )
            self._isolation = dict(outcome.isolation)
            tape = read_tape(scratch, planned.stream.ids.size)
            artifact = read_artifact(tree, self._exposed if planned.name == "uniform" else None)
        true_bytes = vocabulary.stream_bytes(planned.stream)
        status, reason = ending_of(outcome, tape)
        run = Run(
            name=planned.name,
            stream=planned.stream,
            status=status,
            reason=reason,
            seconds=time.monotonic() - started,
            tape=tape,
            passes=find_passes(tape, true_bytes, self._submission.head_metric_label),
            true_bytes=true_bytes,
            bits_of_bytes=self._bits_of_bytes(planned.stream, vocabulary, tape),
            resized=self._resized(planned, tape),
            stdout_tail=outcome.stdout[-4000:].decode("utf-8", "replace"),
            stderr_tail=outcome.stderr[-4000:].decode("utf-8", "replace"),
            artifact=artifact,
        )
        self._runs.tell(f"{planned.name}: {status} after {run.seconds:.0f} s", over=1)
        return run

    def _environment(self, scale: Scale, small_tables: bool = False) -> dict[str, str]:
        own = {setting.name: setting.value for setting in self._settings(scale, small_tables)}
        return {
            **own,
            "PATH": f"{WORK}/{workspace.BIN}:/usr/local/bin:/usr/bin:/bin",
            **self._device.environment(),
            "HOME": "/tmp/home",
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(map(str, (PACKAGE_ROOT, *package_folders()))),
            "PYTHONHASHSEED": "0",
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
        }

    def _not_run(self, planned: _Planned, vocabulary: Vocabulary, reason: str) -> Run:
        return Run(
            name=planned.name,
            stream=planned.stream,
            status="not-run",
            reason=reason,
            seconds=0.0,
            tape=Tape(),
            passes=(),
            true_bytes=vocabulary.stream_bytes(planned.stream),
        )


def _sources(submission: Submission, script: Script) -> dict[str, str]:
    """The script's own text, unpacked, and that of the Python files beside it, by path."""
    sources = {script.path: script.source}
    for sibling in script.siblings:
        path = submission.root / sibling
        if path.suffix == ".py" and path.is_file():
            sources[sibling] = path.read_text(errors="replace")
    return sources


def _environment_reads(sources: Mapping[str, str]) -> dict[str, EnvRead]:
    """What the script and the Python files beside it read from the environment; the script's own first."""
    reads: dict[str, EnvRead] = {}
    for source in sources.values():
        for name, read in environment_reads(source).items():
            reads.setdefault(name, read)
    return reads


def _logged(submission: Submission, reads: Mapping[str, EnvRead]) -> dict[str, str]:
    """The configuration that the first log to print one shows."""
    for log in submission.logs:
        path = submission.root / log.path
        text = decode_text(path.read_bytes()) if path.is_file() else None
        values = {} if text is None else logged_values(text.text, reads)
        if values:
            return values
    return {}
