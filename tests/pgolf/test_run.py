"""A submission's run: flat settings find their configs, and what does not fit is said before anything starts."""

from pathlib import Path

import numpy as np
import pytest

from pgolf.artifact import Scheme
from pgolf.run import RunSettings, open_run
from pgolf.shards import write_shard

FLAT = {
    "data_path": "data",
    "tokenizer_path": "t.model",
    "run_id": "r",
    "seed": 3,
    "val_batch_size": 4096,
    "eval_seq_len": 1024,
    "eval_stride": 64,
}


def test_each_setting_goes_to_the_config_that_has_a_field_of_its_name():
    named = {"num_layers": 2, "iterations": 7, "matrix_lr": 0.5, "scheme": Scheme.INT6_ZSTD}
    settings = RunSettings.from_mapping({**FLAT, **named, "__module__": "ignored"})
    assert (settings.model.num_layers, settings.train.iterations) == (2, 7)
    assert settings.train.optimizer.matrix_lr == 0.5
    assert settings.scheme is Scheme.INT6_ZSTD
    assert settings.data_path == Path("data")
    assert settings.windows == {"seq_len": 1024, "stride": 64, "batch_windows": 4}


def test_what_is_not_named_keeps_its_default():
    settings = RunSettings.from_mapping(FLAT)
    assert settings.model.model_dim == 512
    assert settings.train.max_wallclock_seconds == 600.0
    assert settings.scheme is Scheme.INT8_ZLIB


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_layres": 2}, "unknown settings: num_layres"),
        ({"num_layers": 0}, "num_layers must be at least 1, got 0"),
        ({"eval_stride": 0}, "eval_stride must be at least 1, got 0"),
    ],
)
def test_a_setting_that_fits_nowhere_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        RunSettings.from_mapping({**FLAT, **changes})


def test_a_missing_setting_is_named():
    with pytest.raises(ValueError, match="missing settings: seed"):
        RunSettings.from_mapping({name: value for name, value in FLAT.items() if name != "seed"})


def test_a_tokenizer_of_another_size_is_refused_before_anything_is_written(
    tmp_path, tokenizer_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for split in ("train", "val"):
        write_shard(tmp_path / f"fineweb_{split}_000000.bin", np.arange(300))
    here = {"data_path": tmp_path, "tokenizer_path": tokenizer_path, "vocab_size": 512}
    with (
        pytest.raises(ValueError, match="VOCAB_SIZE=512, but .* has 1024 ids"),
        open_run(RunSettings.from_mapping({**FLAT, **here}), Path(__file__)),
    ):
        pass
    assert not (tmp_path / "logs").exists()
