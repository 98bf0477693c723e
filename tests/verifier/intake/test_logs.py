"""Logs: metrics, sizes, times and facts, in the line shapes of real logs with our own numbers."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from verifier.intake.logs import may_be_log, read_log
from verifier.intake.metric import metrics_of_line
from verifier.submission import Log, Metric, ShippedFile

from .conftest import LOG, SCRIPT


def read(text: str | bytes, path: str = "train.log") -> Log:
    data = text if isinstance(text, bytes) else text.encode()
    log = read_log(data, ShippedFile(path, len(data), hashlib.sha256(data).hexdigest())).log
    assert log is not None
    return log


def one(line: str) -> Metric:
    (metric,) = metrics_of_line(line, 1)
    return metric


@pytest.mark.parametrize(
    ("line", "label", "loss", "bpb", "eval_ms"),
    [
        (
            "final_int8_zlib_roundtrip_exact val_loss:2.07269931 val_bpb:1.22436570",
            "",
            2.07269931,
            1.2243657,
            None,
        ),
        ("final_int6_sliding_window val_loss:1.8 val_bpb:1.1 stride:64 eval_time:9ms", "", 1.8, 1.1, 9.0),
        (
            "DIAGNOSTIC post_ema val_loss:1.9 val_bpb:1.1 eval_time:2.5s",
            "diagnostic post_ema",
            1.9,
            1.1,
            2500.0,
        ),
        ("ttt_sliding:done val_loss=1.9 val_bpb=1.1 elapsed=410.5s", "ttt_sliding:done", 1.9, 1.1, 410500.0),
        (
            "pre-quantization post-ema val_loss: 2.8 val_bpb: 1.09",
            "pre-quantization post-ema",
            2.8,
            1.09,
            None,
        ),
        ("[rank0]: legal_ttt_exact val_loss:1.9 val_bpb:1.1", "legal_ttt_exact", 1.9, 1.1, None),
        ("[2026-04-01 10:00:00] final_slot val_bpb:0.9 val_loss:1.5", "final_slot", 1.5, 0.9, None),
        ("TTT BPB:          1.012050 (delta: -0.009839)", "ttt", None, 1.01205, None),
        ("quantized_ttt_bpb=1.05", "quantized_ttt_bpb", None, 1.05, None),
        ("final result | val_loss: 2.5 | val_bpb: 1.5", "final result", 2.5, 1.5, None),
        ("final val_bpb = 1.5e-1", "final", None, 0.15, None),
    ],
)
def test_a_result_line(line: str, label: str, loss: float | None, bpb: float, eval_ms: float | None) -> None:
    metric = one(line)
    assert metric.final
    assert metric.label == (label or line.split()[0])
    assert (metric.val_loss, metric.val_bpb, metric.eval_ms) == (loss, bpb, eval_ms)


@pytest.mark.parametrize(
    "line",
    [
        "step:500/20000 val_loss:2.3 val_bpb:1.4 train_time:600ms step_avg:1.2ms",
        "4000/20000 val_loss: 2.8722 val_bpb: 1.1119",
        "  ttt_chunk [421/947] bpb=0.473134 time=141.3s",
        "  sliding_eval [ 12.5%] 3200/26000 windows running_bpb=1.125",
        "ttp: b410/782 bl:2.3156 bb:1.0167 rl:2.2879 rb:1.0399 dl:601-603 gd:1",
        "epoch 3 val_loss 0 val_bpb:1.25",
        "progress: val_bpb:1.25",
        "  ttt_chunk [1/1238] bpb=1.124866 chunk_bpb=1.170740 applied=1 time=31.0s",
        "step:4100/6000 val_loss:1.9331 val_bpb:1.401821 best_val_bpb:1.401375 no_improve:1",
    ],
)
def test_a_trajectory_line_is_no_result(line: str) -> None:
    assert not any(metric.final for metric in metrics_of_line(line, 1))


@pytest.mark.parametrize(
    "line",
    [
        "the goal is a lower val_bpb",
        "val_bpb:enabled tokenizer_kind=sentencepiece tokenizer_path=./x.model",
        "ema:applying best EMA (decay=0.9 bpb=inf)",
        "train_loss:2.5",
        "mtp_num_heads:2 mtp_loss_weight:0.1 mtp_params:1048576",
    ],
)
def test_a_line_without_a_result(line: str) -> None:
    assert list(metrics_of_line(line, 1)) == []


def test_digits_count_what_was_printed() -> None:
    metric = one("final val_loss:1.8820 val_bpb:1.11437394")
    assert (metric.loss_digits, metric.bpb_digits) == (4, 8)


def test_two_ranks_on_one_line_are_two_metrics() -> None:
    text = "slot:done val_loss=0.665974 val_bpb=0.394429 elapsed=310.9s"
    found = list(metrics_of_line(text + text, 3))
    assert [(m.label, m.val_loss, m.val_bpb, m.eval_ms, m.line) for m in found] == [
        ("slot:done", 0.665974, 0.394429, 310900.0, 3)
    ] * 2


def test_a_whole_log() -> None:
    log = read(LOG)
    assert (log.seed, log.seed_from_name, log.world_size, log.val_tokens) == (42, False, 8, 62021632)
    assert (log.train_shards, log.max_wallclock_seconds) == (80, 600.0)
    assert log.tokenizer_path == "./data/tokenizers/fineweb_1024_bpe.model"
    assert (log.train_ms, log.train_line, log.train_rounding_ms, log.stop_line) == (600058.0, 11, 0.5, 11)
    assert (log.calibration_seconds, log.calibration_line, log.calibration_source) == (12.7, 12, None)
    assert (log.eval_seconds_total, log.eval_line) == (77.2, 19)
    assert [(size.kind, size.label, size.size_bytes) for size in log.sizes] == [
        ("model", "", 106289590),
        ("code", "", 101850),
        ("model", "int6+lzma", 15883000),
        ("total", "int6+lzma", 15984850),
    ]
    assert [metric.label for metric in log.metrics if metric.final] == [
        "final_int6_sliding_window",
        "final_int6_sliding_window_exact",
    ]
    assert log.env == {}


def test_train_time_of_the_minutes_family() -> None:
    log = read("4000/20000 train_loss: 2.9 train_time: 8.4m tok/s: 6223343\n")
    assert (log.train_ms, log.train_rounding_ms, log.stop_line) == (504_000.0, 3_000.0, None)
    log = read(
        "4550/20000 train_loss: 2.8 train_time: 9.8m tok/s: 1\n"
        "stopping_early: wallclock_cap train_time: 588047ms step: 4550/20000\n"
    )
    assert (log.train_ms, log.train_rounding_ms, log.stop_line) == (588_047.0, 0.5, 2)


def test_a_step_after_the_stop_line_does_not_shorten_training() -> None:
    stop = "stopping_early: wallclock_cap train_time:600100ms step:700/20000\n"
    log = read(stop + "step:700/20000 val_loss:2.0 val_bpb:1.2 train_time:590000ms step_avg:85ms\n")
    assert log.train_ms == 600_100.0


@pytest.mark.parametrize(
    ("lines", "source", "seconds"),
    [
        ("gptq:using validation data for calibration (256 seqs x 2048 tokens)", "val", None),
        ("gptq:collected hessians for 68 layers (val-data)", "val", None),
        ("gptq:collected hessians for 68 layers (AR self-gen)", "self-generated", None),
        ("gptq:collecting hessians from autoregressive data...", "self-generated", None),
        ("gptq:collecting hessians from training data (256 batches)...", "train", None),
        ("GPTQ:collecting Hessians from calibration data...", None, None),
        ("GPTQ:collected 67 Hessians in 12.7s", None, 12.7),
        ("gptq:calibrated 256 batches in 3.4s", None, 3.4),
    ],
)
def test_calibration(lines: str, source: str | None, seconds: float | None) -> None:
    log = read(lines + "\nfinal val_loss:1.5 val_bpb:1.0\n")
    assert (log.calibration_source, log.calibration_seconds) == (source, seconds)


@pytest.mark.parametrize(
    ("line", "env"),
    [
        (
            "Extra args: SLOT_ENABLED=1 SLOT_LR=0.4 SEED=7",
            {"SLOT_ENABLED": "1", "SLOT_LR": "0.4", "SEED": "7"},
        ),
        ("+ SEED=7 TTT_LR=1e-3 torchrun --nproc_per_node=8 train_gpt.py", {"SEED": "7", "TTT_LR": "1e-3"}),
        ("overrides: AB=0.5,B_C=1.0,DE=x,y", {"AB": "0.5", "B_C": "1.0", "DE": "x,y"}),
        ("env: A_B=1", {"A_B": "1"}),
        ("  ttt_lr: 0.005", {}),
        ("TTT_LR: 0.005", {}),
        ("X=1 is nothing to go by", {}),
    ],
)
def test_environment_lines(line: str, env: dict[str, str]) -> None:
    assert read(line + "\nfinal val_loss:1.5 val_bpb:1.0\n").env == env


def test_the_seed_may_come_from_the_environment_or_the_name() -> None:
    body = "final val_loss:1.5 val_bpb:1.0\n"
    assert read("Extra args: A=1 SEED=7\n" + body).seed == 7
    log = read(body, "logs/train_seed314.log")
    assert (log.seed, log.seed_from_name) == (314, True)
    assert read(body, "train.log").seed is None


RULER = "=" * 100


@pytest.mark.parametrize(
    "text",
    [
        f"{SCRIPT}\n{RULER}\nRunning Python 3.11\n{RULER}\n",
        f"{RULER}\nHyperparameters:\n{RULER}\nSource code:\n{RULER}\n{SCRIPT}\n{RULER}\nRunning Python\n",
    ],
)
def test_an_embedded_source_listing_is_cut_out_exactly(text: str) -> None:
    log = read(text + LOG)
    assert log.source_sha256 == hashlib.sha256(SCRIPT.encode()).hexdigest()
    assert log.metrics == tuple(
        Metric(**{**vars(metric), "line": metric.line + text.count("\n")}) for metric in read(LOG).metrics
    )


def test_numbers_in_listed_source_are_no_metrics() -> None:
    script = SCRIPT + "# reached final val_loss:1.0 val_bpb:0.5\nNOTE = 'final val_loss:1.0 val_bpb:0.5'\n"
    assert all(metric.val_bpb != 0.5 for metric in read(f"{script}\n{RULER}\n{LOG}").metrics)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_every_encoding_reads_the_same(encoding: str) -> None:
    text = LOG.replace("A small", "é") if encoding == "latin-1" else LOG
    log = read(text.replace("\n", "\r\n").encode(encoding))
    assert (log.metrics, log.sizes, log.train_ms) == (read(LOG).metrics, read(LOG).sizes, read(LOG).train_ms)


def test_colours_carriage_returns_and_huge_lines() -> None:
    line = "\x1b[32mfinal val_loss:1.5 val_bpb:1.0\x1b[0m\n"
    assert one_of(read(line)) == ("final", 1.5, 1.0)
    assert one_of(read("10% done\r20% done\rfinal val_loss:1.5 val_bpb:1.0\n")) == ("final", 1.5, 1.0)
    data = (line + "x" * 3_000_000).encode()
    file = read_log(data, ShippedFile("a.log", len(data), ""))
    assert [problem.code for problem in file.problems] == ["log-long-lines"]


def one_of(log: Log) -> tuple[Any, ...]:
    (metric,) = log.metrics
    return metric.label, metric.val_loss, metric.val_bpb


def test_ranks_that_repeat_a_line_count_once() -> None:
    assert len(read("slot:done val_loss=0.66 val_bpb=0.39 elapsed=3s\n" * 8).metrics) == 1


def test_what_is_not_a_log() -> None:
    data = b"numpy==2.0\ntorch\n"
    assert read_log(data, ShippedFile("notes.txt", len(data), "")).log is None
    for path in (
        "README.md",
        "requirements.txt",
        "a/README.txt",
        "x.py",
        "x.json",
        "run.sh",
        "LICENSE",
        ".log",
    ):
        assert not may_be_log(path), path
    for path in ("train.log", "logs/run1/out.txt", "train_seed42.out", "nohup"):
        assert may_be_log(path), path


def test_calibration_lines_after_the_stop_line_are_kept() -> None:
    log = read(
        "gptq:calibrating early\n"
        "stopping_early: wallclock_cap train_time:600058ms step:7190/9000\n"
        "peak memory allocated: 1 MiB reserved: 2 MiB\n"
        "gptq:reserving 4s for calibration\n"
        "gptq:calibrating with 256 batches...\n"
        "gptq:collected hessians for 68 layers\n"
        "final_int6_roundtrip val_loss:1.9 val_bpb:1.1\n"
    )
    assert [(each.line, each.text) for each in log.late_calibration] == [
        (5, "gptq:calibrating with 256 batches..."),
        (6, "gptq:collected hessians for 68 layers"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "paid_prefix_file:p.xz paid_prefix_tokens:12924343 paid_prefix_bytes:8750000",
        "paid_prefix:loaded 6,200,000 tokens from p.xz (4,240,472 bytes)",
    ],
)
def test_stored_targets(line: str) -> None:
    kept = read(f"{line}\nfinal val_loss:1.9 val_bpb:1.1\n").stored_targets
    assert kept is not None
    assert (kept.text, kept.line) == (line, 1)


@pytest.mark.parametrize("line", ["Paid prefix blob: 0 bytes", "prefix tokens: 12924343", "paid_prefix:off"])
def test_no_stored_targets(line: str) -> None:
    assert read(f"{line}\nfinal val_loss:1.9 val_bpb:1.1\n").stored_targets is None


@pytest.mark.parametrize(
    "line",
    [
        "train_loader:dataset:fineweb10B_sp1024_valonly train_shards:1",
        "train_files: ./data/fineweb10B_sp8192/fineweb_train_*.bin",
        "logs/val-only_seed1337.txt",
    ],
)
def test_the_training_set_is_named(line: str) -> None:
    kept = read(f"{line}\nfinal val_loss:1.9 val_bpb:1.1\n").train_data
    assert kept is not None
    assert kept.text == line


@pytest.mark.parametrize(
    "line",
    [
        "saved_model:/runs/artifacts/a/a_model.pt bytes:52569893",
        "wrote artifacts/model.pt: 52569893 bytes",
        "[train] Raw submission size proxy: 98625029 bytes",
    ],
)
def test_paths_and_proxies_are_no_artifact_sizes(line: str) -> None:
    assert read(f"{line}\nfinal val_loss:1.9 val_bpb:1.1\n").sizes == ()


@pytest.mark.parametrize(
    ("lines", "sizes"),
    [
        ("budget:15,993,853/16000000 (15.99/16.00MB) FITS", [("total", "of 16,000,000", 15_993_853)]),
        ("budget:12/24", []),
        ("budget:16216336/16000000 (15.95/16.00MB) FITS", []),
        (
            "raw:27218696 compressed:11474336\nmodel:11474336 code:73514 total:11547850 (11.55 MB)",
            [("code", "", 73_514), ("total", "", 11_547_850), ("model", "compressed", 11_474_336)],
        ),
        (
            "serialized_model_int8_zlib:10518128 bytes (payload:17178912)",
            [("model", "int8_zlib", 10_518_128)],
        ),
        ("serialized_model_raw:67212188 bytes", []),
        ("model:11474336 code:73514 total:11547850", [("code", "", 73_514), ("total", "", 11_547_850)]),
        ("model:11474336 code:73514 total:11547851", []),
        ("total size: " + "9" * 5000 + " bytes", []),
    ],
    ids=[
        "of the cap",
        "of another cap",
        "two sizes at once",
        "compressed parts",
        "model alone",
        "raw model",
        "parts",
        "parts that do not add up",
        "endless",
    ],
)
def test_sizes_that_a_line_explains_itself(lines: str, sizes: list[tuple[str, str, int]]) -> None:
    log = read(f"{lines}\nfinal val_loss:1.9 val_bpb:1.1\n")
    assert [(size.kind, size.label, size.size_bytes) for size in log.sizes] == sizes
