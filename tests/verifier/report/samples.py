"""Reports that look like real ones, built by hand: the numbers need not be true, only consistent."""

from __future__ import annotations

from dataclasses import replace

from verifier.finding import Finding, Grade, State, Where
from verifier.report.model import (
    Bpb,
    FileDigest,
    FlipSeries,
    GainSeries,
    LoggedBpb,
    Measured,
    Override,
    Platform,
    Report,
    RuleText,
    Run,
    RunInfo,
    Series,
    Snippet,
    SubmissionInfo,
    Substitution,
    Timeline,
)
from verifier.seedrun import SeedRun
from verifier.verdict import decide

SHA = "9f2c" * 16
SEED = 471108
FLOOR_NATS = 6.920790

RULES = (
    RuleText(
        "C1",
        "Strict causal dependence",
        "The prediction for a token is a function of the artifact and of the tokens before it.",
        "community text, applied by organizers",
        ("#1017", "#728"),
    ),
    RuleText(
        "C3",
        "Score before update",
        "Nothing may learn from a token before that token's score is fixed.",
        "official",
        ("#1017",),
    ),
)
PLATFORM = Platform(python="3.11.7", torch="2.13.0", machine="x86_64", cpus=2)
FILES = (
    FileDigest("README.md", 2113, "11" * 32),
    FileDigest("submission.json", 611, "22" * 32),
    FileDigest("train_gpt.py", 52114, SHA),
    FileDigest("train_seed1337.log", 88123, "33" * 32),
)
RUN = RunInfo(
    level="probes",
    seeds=(SEED,),
    environment=(
        Override("SLOT_ENABLED", "1", "command"),
        Override("NUM_LAYERS", "2", "scaled"),
        Override("DATA_PATH", "/work/data", "path"),
    ),
    substitutions=(Substitution("flash_attn.flash_attn_func", 912), Substitution("torch.compile", 3)),
    isolation={"network": "none (own namespace)", "files": "folder read-only", "memory": "6 GiB"},
    runs=(
        Run("null", 19.4, "finished", "", {"final_slot val_loss": 4.22634, "final_slot val_bpb": 2.7212}),
        Run(
            "null again", 19.1, "finished", "", {"final_slot val_loss": 4.22634, "final_slot val_bpb": 2.7212}
        ),
        Run(
            "flip at 4133",
            19.3,
            "finished",
            "",
            {"final_slot val_loss": 4.22629, "final_slot val_bpb": 2.7211},
        ),
    ),
)


def finding(
    check: str,
    title: str,
    state: State,
    message: str,
    *where: Where,
    grade: Grade = Grade.PROBED,
    **more: object,
) -> Finding:
    extra = {name: more.pop(name) for name in ("rules", "try_next", "replayable") if name in more}
    return Finding(
        check=check,
        title=title,
        rules=extra.get("rules", ("C1", "C3")),  # type: ignore[arg-type]
        state=state,
        grade=grade,
        message=message,
        where=where,
        evidence=more,
        try_next=extra.get("try_next"),  # type: ignore[arg-type]
        replayable=bool(extra.get("replayable", False)),
    )


FLOOR_FAIL = finding(
    "E1-floor",
    "no score beats the entropy of a secret stream",
    State.FAIL,
    "val_loss 4.22634 on a stream whose entropy is 6.92079 nats per token: 31,844 bits that no causal "
    "predictor can have, by odds of 2^-31844",
    Where("train_gpt.py", 1801, "print(f'final_slot val_loss:{loss:.5f} val_bpb:{bpb:.4f}')"),
    gain_bits=31844.0,
    p_value_log2=-31844.0,
    tokens=8192,
    val_loss_nats=4.22634,
    floor_nats=FLOOR_NATS,
    streams=[{"kind": "uniform", "seed": SEED}],
    replayable=True,
    try_next="score a window before its delta is optimised, and apply the delta to later windows only",
)
FLIP_FAIL = finding(
    "C1-flip",
    "no score moves when a later token changes",
    State.FAIL,
    "p[812] moved 0.31 nats when token 4133 changed (noise floor 0); 4,131 of 4,132 earlier scores moved",
    Where("train_gpt.py", 1744, "loss = F.cross_entropy(logits + delta, targets)"),
    Where("train_gpt.py", 1752, "optimizer.step()"),
    max_gap_nats=0.31,
    first_position=812,
    moved=4131,
    flipped_token=4133,
    replayable=True,
)
SLOT_WARN = finding(
    "S1-slot",
    "no parameter is optimised on the tokens that are scored",
    State.WARN,
    "an optimizer steps on a loss over scored positions inside eval_val_slot",
    Where("train_gpt.py", 1752, "optimizer.step()"),
    grade=Grade.STATIC,
)
TIME_UNVERIFIED = finding(
    "T1-training",
    "training and calibration end within 600 seconds",
    State.UNVERIFIED,
    "no log line gives the training time",
    grade=Grade.LOG,
    rules=("R-013",),
    try_next="ship the log with its `stopping_early: wallclock_cap` line",
)
SLOT_UNRULED = finding(
    "U1-context-slot",
    "context-only SLOT",
    State.UNRULED,
    "a delta is optimised on context tokens only; no organizer ruled on it",
    Where("train_gpt.py", 1700),
    positions=96,
)
BROKEN_CHECK = finding(
    "Z1-broken",
    "a check that raised",
    State.ERROR,
    "the check raised KeyError: 'tokens'",
    traceback="Traceback (most recent call last):\n  ...\nKeyError: 'tokens'\n",
    try_next="this is a bug of pgolf-verify: please report it with the JSON report",
)
DENOMINATOR_PASS = finding(
    "B1-denominator",
    "loss and bits per byte imply a known byte count",
    State.PASS,
    "2.43590 bytes per token is the SP1024 evaluator (gap 3e-7; 931 of 1,012 logs lie within 1e-5)",
    grade=Grade.LOG,
)
LEDGER_PASS = finding(
    "C4-ledger",
    "every position is scored exactly once",
    State.PASS,
    "8,192 of 8,192 positions once; captured scores add up to the reported number within 4e-7 nats",
)
MASS_PASS = finding(
    "C2-mass",
    "probabilities sum to one over the vocabulary",
    State.PASS,
    "all 128 commits of legal_ttt_exact are a cross entropy over full logits, normalised by construction",
)
REACHED_PASS = finding(
    "N1-reached",
    "the run printed the number that is claimed",
    State.PASS,
    "the base run printed legal_ttt_exact",
)
ARTIFACT_PASS = finding(
    "A1-artifact",
    "the artifact is within 16,000,000 bytes",
    State.PASS,
    "15,863,489 of 16,000,000 bytes (logged), 15,811,375 + 52,114 as shipped",
    grade=Grade.LOG,
)
CLAIM_PASS = finding(
    "B2-claim",
    "the claimed bits per byte is in the logs",
    State.PASS,
    "0.39642 is the mean of 3 logs (rounding 5e-6)",
    grade=Grade.LOG,
)
TRAIN_PASS = finding(
    "T1-training",
    "training and calibration end within 600 seconds",
    State.PASS,
    "599.9 s at most over 3 logs",
    grade=Grade.LOG,
)
SPLIT_PASS = finding(
    "D2-split",
    "the whole validation split is scored, and training does not hold it",
    State.PASS,
    "62,021,846 validation tokens are the full sp1024 stream",
    grade=Grade.LOG,
)
EVAL_PASS = finding(
    "T2-evaluation",
    "the claimed number is scored within 600 seconds",
    State.PASS,
    "412.3 s at most over 3 logs",
    grade=Grade.LOG,
)
FLOOR_PASS = finding(
    "E1-floor",
    "no score beats the entropy of a secret stream",
    State.PASS,
    "val_loss 6.93245 is 0.00098 nats above the floor; a leak over 0.0023 nats per token would have shown",
    gain_bits=-11.6,
)
FLIP_PASS = finding(
    "C1-flip",
    "no score moves when a later token changes",
    State.PASS,
    "0 of 4,132 earlier scores moved in 2 flips; 3,171 of 3,964 later ones did (positive control)",
    moved=0,
)
NO_BITS = finding(
    "D1-decode",
    "a fresh process decodes the stream",
    State.NOT_APPLICABLE,
    "the script does not offer the step protocol",
)

LOGGED = tuple(
    LoggedBpb(value, seed, f"train_seed{seed}.log", 2210)
    for value, seed in ((0.39806, 1337), (0.39443, 42), (0.39678, 2025))
)


def report(*findings: Finding, **changes: object) -> Report:
    made = Report(
        tool_version="0.1.0",
        rule_edition="2026-05-02",
        submission=SubmissionInfo(
            path="submissions/scored_slot",
            name="scored_slot",
            script="train_gpt.py",
            sha256=SHA,
            payload_sha256=SHA,
            track="10min_16mb",
        ),
        verdict=decide(findings),
        bpb=Bpb(0.39642, "val_bpb", LOGGED, Measured("audit", "final_slot", 4.22634, 2.7212)),
        findings=findings,
        run=RUN,
        platform=PLATFORM,
        seconds=61.23,
        rules=RULES,
        legal={"C1-flip": "score a chunk first, then train on it (#549)"},
        files=FILES,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def cheat() -> Report:
    return cheat_with()


def cheat_with(**changes: object) -> Report:
    return report(
        ARTIFACT_PASS,
        TIME_UNVERIFIED,
        FLIP_FAIL,
        NO_BITS,
        FLOOR_FAIL,
        DENOMINATOR_PASS,
        LEDGER_PASS,
        SLOT_WARN,
        **changes,
    )


def honest() -> Report:
    return report(
        ARTIFACT_PASS,
        FLIP_PASS,
        NO_BITS,
        FLOOR_PASS,
        DENOMINATOR_PASS,
        CLAIM_PASS,
        LEDGER_PASS,
        MASS_PASS,
        REACHED_PASS,
        SPLIT_PASS,
        TRAIN_PASS,
        EVAL_PASS,
        submission=SubmissionInfo(
            path="submissions/score_first_ttt",
            name="score_first_ttt",
            script="train_gpt.py",
            sha256=SHA,
            payload_sha256="ab" * 32,
            wrapper="lzma_raw2+b85",
            track="10min_16mb",
            author="A. Author",
            date="2026-03-23",
        ),
        bpb=Bpb(1.1194, "mean_val_bpb", LOGGED[:1], Measured("audit", "legal_ttt_exact", 6.93245, 4.1042)),
        seed_runs=(
            SeedRun("train_seed1337.log", 1337, 1.1192, 1.88977, 15_977_386, 600.1, 409.8),
            SeedRun("train_seed42.log", 42, 1.1196, None, None, None, None),
        ),
        techniques=("test-time training", "sliding window"),
    )


def documents() -> Report:
    return report(
        ARTIFACT_PASS,
        TIME_UNVERIFIED,
        DENOMINATOR_PASS,
        SLOT_UNRULED,
        BROKEN_CHECK,
        bpb=Bpb(0.39642, "val_bpb", LOGGED, None),
        run=RunInfo(level="documents"),
        seconds=0.41,
    )


def hostile() -> Report:
    """Every string that a submission controls tries to leave its place."""
    evil = "\x1b[2J\u202e</details>`` `[x](http://e)| @everyone\n# PASS\n| a |"
    where = Where(f"a`b{evil}.py", 3, evil)
    return report(
        finding("S9-hostile", "a title", State.WARN, evil, where, text=evil, nan=float("nan"), big=10**400),
        finding(
            "S8-hostile", "a title", State.FAIL, evil, where, text=evil[:20], replayable=True, try_next=evil
        ),
        finding("S7-hostile", "a title", State.PASS, evil),
        submission=SubmissionInfo(path=evil, name=evil, script=evil, sha256=SHA, payload_sha256=SHA),
        bpb=Bpb(
            float("nan"),
            evil,
            (LoggedBpb(float("inf"), None, evil, 1),),
            Measured("audit", evil, None, float("nan")),
        ),
        run=replace(
            RUN,
            not_run=evil,
            isolation={evil: evil},
            runs=(Run(evil, 1.0, evil, evil, {evil: float("nan")}),),
        ),
    )


def drawn() -> Report:
    """The cheat with lines of its script and small arrays for every picture."""
    flip = FlipSeries(
        run="flip 1",
        block=(48, 56),
        positions=97,
        bin_tokens=8,
        before=(8, 8, 8, 8, 8, 7, 0, 0, 0, 0, 0, 0, 0),
        after=(0, 0, 0, 0, 0, 0, 0, 8, 8, 8, 8, 8, 1),
        largest_nats=(0.01, 0.02, 0.02, 0.04, 0.05, 0.31, 2.0, 0.9, 0.4, 0.2, 0.1, 0.08, 0.05),
        near_start=40,
        near_nats=(0.02, -0.04, 0.01, None, 0.08, 0.1, -0.31, 0.2, *(1.5,) * 8, 0.9, -0.3, 0.2, 0.1),
    )
    gains = (
        GainSeries("uniform", "final_slot", 66.0, (1, 32, 64, 96), (4.0, 9000.0, 20000.5, 31844.0)),
        GainSeries("small alphabet", "final_slot", 66.0, (1, 32, 64, 96), (-0.5, -4.0, -6.5, -11.0)),
    )
    timeline = Timeline(
        label="final_slot",
        events=40,
        positions=97,
        reads=((0, 0, 0, 31, 1), (12, 12, 32, 63, 1), (24, 24, 64, 96, 1)),
        commits=((9, 9, 1, 31, 1), (21, 21, 32, 63, 1), (33, 33, 64, 96, 1)),
        updates=((2, 8, 7), (14, 20, 7), (26, 32, 7)),
    )
    return cheat_with(
        snippets=(
            Snippet(
                "train_gpt.py",
                1742,
                (
                    "    for _ in range(steps):",
                    "        logits = head(hidden + delta)",
                    "        loss = F.cross_entropy(logits + delta, targets)",
                    "        loss.backward()",
                ),
            ),
        ),
        series=Series((flip,), gains, timeline),
    )


ALL = {"cheat": cheat, "honest": honest, "documents": documents, "hostile": hostile, "drawn": drawn}
