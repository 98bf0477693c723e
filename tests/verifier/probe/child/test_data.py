"""Data is found where scripts look for it, and nothing that they write is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from verifier.probe.child.data import Provider
from verifier.probe.child.hub import Hub, Offline


@pytest.fixture
def data(tmp_path: Path) -> Path:
    shards = tmp_path / "audit" / "datasets" / "fineweb10B_sp1024"
    shards.mkdir(parents=True)
    for name in ("fineweb_val_000000.bin", "fineweb_train_000000.bin"):
        (shards / name).write_text(name)
    tokenizers = tmp_path / "audit" / "tokenizers"
    tokenizers.mkdir()
    (tokenizers / "fineweb_1024_bpe.model").write_text("model")
    return tmp_path / "audit"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("datasets/fineweb_caps_v1/fineweb_val_*.bin", "fineweb_val_000000.bin"),
        ("datasets/x/fineweb_train_[0-9][0-9].bin", "fineweb_train_000000.bin"),
        ("fineweb_val_sp1024.bin", "fineweb_val_000000.bin"),
        ("deep/er/val_*.bin", "fineweb_val_000000.bin"),
        ("tok/fineweb_8192_bpe.model", "model"),
    ],
)
def test_missing_data_is_linked(tmp_path: Path, data: Path, asked: str, found: str) -> None:
    pattern = tmp_path / "run" / asked
    Provider(data).look(pattern)
    assert [each.read_text() for each in pattern.parent.glob(pattern.name)] == [found]


def test_a_missing_data_folder_is_linked(tmp_path: Path, data: Path) -> None:
    Provider(data).look(str(tmp_path / "datasets" / "fineweb10B_other"))
    names = sorted(each.name for each in (tmp_path / "datasets" / "fineweb10B_other").iterdir())
    assert names == ["fineweb_train_000000.bin", "fineweb_val_000000.bin"]


@pytest.mark.parametrize("asked", ["final_model.bin", "cache_val_losses.bin", "prefix.model", "fineweb.txt"])
def test_other_files_stay_missing(tmp_path: Path, data: Path, asked: str) -> None:
    Provider(data).look(str(tmp_path / asked))
    assert not (tmp_path / asked).exists()


def test_shipped_data_is_not_replaced(tmp_path: Path, data: Path) -> None:
    own = tmp_path / "fineweb_val_000007.bin"
    own.write_text("own")
    Provider(data).look(str(tmp_path / "fineweb_val_*.bin"))
    assert [each.name for each in tmp_path.glob("fineweb_val_*.bin")] == [own.name]


def test_the_byte_sidecar_is_there_only_where_the_audit_made_one(tmp_path: Path, data: Path) -> None:
    Provider(data).look(str(tmp_path / "x" / "fineweb_val_bytes_*.bin"))
    assert not (tmp_path / "x").exists()


def test_downloads_are_the_audit_s_own_data(tmp_path: Path, data: Path) -> None:
    hub = Hub(Provider(data), data)
    path = hub.hf_hub_download("anyone/any", "fineweb_10240_bpe.model", local_dir=tmp_path / "tok")
    assert path == str(tmp_path / "tok" / "fineweb_10240_bpe.model")
    assert Path(path).read_text() == "model"
    assert (Path(hub.snapshot_download("anyone/any")) / "datasets").is_dir()
    with pytest.raises(Offline, match="offline"):
        hub.hf_hub_download("anyone/any", "pytorch_model.safetensors")
    module = hub.module("huggingface_hub.utils")
    assert issubclass(module.EntryNotFoundError, OSError)
