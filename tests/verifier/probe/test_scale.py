"""Settings: the command first, sizes made small, switches left alone."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from verifier.intake.environment import EnvRead, EnvType
from verifier.probe.scale import AUDIT, DEEP, Scale, Setting, Why, settings

SWITCHES = [
    "TTT_ENABLED",
    "SLOT_ENABLED",
    "NGRAM_CACHE",
    "SLIDING_WINDOW_ENABLED",
    "TTT_LR",
    "SLOT_STEPS",
    "MIXER_ETA",
]


def test_an_implied_switch_is_on_unless_the_command_says_otherwise() -> None:
    reads = {"NGRAM_EVAL": EnvRead("NGRAM_EVAL", "0", 1, EnvType.BOOL)}
    assert settings(reads, {}, AUDIT, {}, implied=("NGRAM_EVAL",)) == (
        Setting("NGRAM_EVAL", "1", Why.CLAIM, "0"),
    )
    told = settings(reads, {"NGRAM_EVAL": "0"}, AUDIT, {}, implied=("NGRAM_EVAL",))
    assert [(each.value, each.why) for each in told] == [("0", Why.COMMAND)]


def test_small_tables_are_cut_in_one_run_only() -> None:
    reads = {"NGRAM_EVAL_BUCKETS": EnvRead("NGRAM_EVAL_BUCKETS", "4194304", 1, EnvType.INT)}
    assert settings(reads, {}, AUDIT, {}) == ()
    (small,) = settings(reads, {}, AUDIT, {}, small_tables=True)
    assert (small.value, small.why, small.documented) == ("1024", Why.SCALED, "4194304")


def chosen(
    defaults: Mapping[str, str | None], documented: Mapping[str, str] | None = None, scale: Scale = AUDIT
) -> dict[str, Setting]:
    reads = {name: EnvRead(name, default, 1, EnvType.STR) for name, default in defaults.items()}
    paths = {"DATA_PATH": "./data/x", "RUN_ID": "audit"}
    return {each.name: each for each in settings(reads, documented or {}, scale, paths)}


def test_the_command_s_own_environment_is_kept() -> None:
    found = chosen({"TTT_ENABLED": "0", "TTT_LR": "0.1"}, {"TTT_ENABLED": "1", "UNREAD": "7"})
    assert found["TTT_ENABLED"] == Setting("TTT_ENABLED", "1", Why.COMMAND)
    assert set(found) == {"TTT_ENABLED"}


def test_sizes_are_made_small_and_say_what_they_were() -> None:
    found = chosen({"TRAIN_SEQ_LEN": "2048", "ITERATIONS": "20000"}, {"ITERATIONS": "7000"})
    assert found["ITERATIONS"] == Setting("ITERATIONS", "1", Why.SCALED, "7000")
    assert found["TRAIN_SEQ_LEN"] == Setting("TRAIN_SEQ_LEN", "128", Why.SCALED, "2048")


def test_what_is_small_already_stays() -> None:
    assert chosen({"EVAL_STRIDE": "32", "EVAL_BATCH_SEQS": "8"}) == {}
    assert chosen({"EVAL_STRIDE": "1024"})["EVAL_STRIDE"].value == "64"
    assert chosen({"EVAL_BATCH_SEQS": "1_024"})["EVAL_BATCH_SEQS"].value == "32"


def test_depth_is_scaled_on_the_first_rung_alone() -> None:
    assert chosen({"NUM_LAYERS": "11"})["NUM_LAYERS"].value == "2"
    assert chosen({"NUM_LAYERS": "11"}, scale=DEEP) == {}


def test_paths_win_and_ranks_are_never_set() -> None:
    found = chosen({"DATA_PATH": "/data", "RANK": "0"}, {"DATA_PATH": "/mnt", "RANK": "3", "WORLD_SIZE": "8"})
    assert found == {"DATA_PATH": Setting("DATA_PATH", "./data/x", Why.PATH)}


@given(st.sampled_from(SWITCHES), st.text("01.e-", min_size=1, max_size=4), st.booleans())
def test_a_switch_is_never_changed(name: str, value: str, documented: bool) -> None:
    found = chosen({name: "0"}, {name: value} if documented else {})
    assert all(each.why is not Why.SCALED for each in found.values())
    assert not documented or found[name].value == value
