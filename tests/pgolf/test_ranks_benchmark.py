"""The side-by-side benchmark lines up runs and finds their largest gap."""

import argparse
import json

import numpy as np
import torch

from benchmarks.ranks import compare, measure
from pgolf.distributed import ALONE
from pgolf.shards import write_shard


def test_a_run_reports_its_losses_and_pace(tmp_path, tokenizer_path, capsys):
    for split in ("train", "val"):
        write_shard(tmp_path / f"fineweb_{split}_000000.bin", np.arange(3000) % 1000)
    arguments = argparse.Namespace(
        preset="tiny",
        steps=10,
        data=tmp_path,
        tokenizer=tokenizer_path,
        micro_batches=8,
        at_once=2,
        muon_variant="muoneq_r",
        every_rank_does_all=False,
        seed=1,
    )
    result = measure(arguments, ALONE, torch.device("cpu"))
    assert [step for step, _ in result["losses"]] == [1, 10]
    assert result["losses"][1][1] < result["losses"][0][1]
    assert (result["ranks"], result["micro_batches"], result["micro_batches_at_once"]) == (1, 8, 2)
    assert result["step_ms"] > 0
    assert capsys.readouterr().out.count("train_loss") == 2


def test_runs_are_compared_step_by_step(tmp_path):
    for ranks, losses in ((1, [[1, 7.0], [10, 6.0]]), (4, [[1, 7.0], [10, 6.25], [20, 5.0]])):
        run = {"ranks": ranks, "losses": losses, "step_ms": 10.0 / ranks, "tokens_per_second": 100 * ranks}
        (tmp_path / f"{ranks}.json").write_text(json.dumps(run))
    lines = compare([tmp_path / "1.json", tmp_path / "4.json"]).splitlines()
    assert [line.split() for line in lines] == [
        ["step", "1", "rank", "4", "ranks"],
        ["1", "7.0000", "7.0000"],
        ["10", "6.0000", "6.2500"],
        ["step_ms", "10.0", "2.5"],
        ["tokens_per_second", "100", "400"],
        ["largest", "gap", "0.0000", "0.2500"],
    ]
