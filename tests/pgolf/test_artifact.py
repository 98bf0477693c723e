"""Artifacts round trip, are deterministic, and damaged ones are refused."""

import contextlib
import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgolf.artifact import ArtifactError, Scheme, load_artifact, pack_model, save_artifact, unpack
from pgolf.compress import CodebookConfig, QuantizationConfig, StdClip, dequantize_state, quantize_state
from pgolf.evaluate import Evaluation
from pgolf.evaluate.score import Score
from pgolf.export import PruneConfig, export_model, log_final
from pgolf.model import GPT, GPTConfig
from pgolf.size import ArtifactTooLarge, SizeReport, count_code


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = GPT(
        GPTConfig(vocab_size=600, num_layers=2, model_dim=128, num_heads=4, num_kv_heads=2, mlp_mult=5)
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.fixture(scope="module")
def packed(model):
    return pack_model(model)


@pytest.mark.parametrize("scheme", list(Scheme))
def test_round_trip_gives_exactly_the_dequantized_weights(model, scheme, tmp_path):
    size = save_artifact(tmp_path / "model.pgolf", model, scheme, train_seq_len=77)
    assert (tmp_path / "model.pgolf").stat().st_size == size
    assert len(list(tmp_path.iterdir())) == 1
    artifact = load_artifact(tmp_path / "model.pgolf")
    assert artifact.config == model.config
    assert artifact.train_seq_len == 77
    expected = dequantize_state(quantize_state(model.state_dict(), scheme.quantization))
    restored = artifact.build_model().state_dict()
    assert restored.keys() == expected.keys()
    assert all(torch.equal(restored[name], expected[name]) for name in expected)


def test_a_model_with_an_empty_parameter_round_trips():
    model = GPT(GPTConfig.tiny(num_layers=1))
    assert model.skip_weights.numel() == 0
    restored = unpack(pack_model(model)).build_model()
    assert restored.skip_weights.shape == model.skip_weights.shape
    restored.loss(torch.zeros(1, 4, dtype=torch.int64), torch.zeros(1, 4, dtype=torch.int64)).backward()


def test_int8_is_close_and_int6_is_smaller(model, packed):
    ids = torch.arange(40)[None] * 7
    exact = model.loss(ids[:, :-1], ids[:, 1:]).item()
    assert unpack(packed).build_model().loss(ids[:, :-1], ids[:, 1:]).item() == pytest.approx(exact, abs=0.05)
    assert len(pack_model(model, Scheme.INT6_ZSTD)) < 0.9 * len(packed)


@pytest.mark.parametrize(
    "config",
    [
        QuantizationConfig(
            matrix_bits=5, embedding_bits=7, embedding_group_size=32, matrix_clip=StdClip(6.0)
        ),
        QuantizationConfig(matrix_codebook=CodebookConfig(width=2, entries=16, iterations=1)),
    ],
    ids=["groups", "codebook"],
)
def test_any_quantizer_round_trips(model, config):
    def quantizer(state):
        return quantize_state(state, config)

    restored = unpack(pack_model(model, Scheme.INT6_ZSTD, quantizer=quantizer)).build_model().state_dict()
    expected = dequantize_state(quantizer(model.state_dict()))
    assert all(torch.equal(restored[name], expected[name]) for name in expected)


def test_schemes_compose_bits_and_codec_and_are_labelled_as_in_the_contest():
    assert {scheme.label: (scheme.bits, scheme.codec.name) for scheme in Scheme} == {
        "int8_zlib": (8, "zlib"),
        "int6_zstd": (6, "zstd"),
        "int6_lzma": (6, "lzma"),
        "int6_brotli": (6, "brotli"),
        "int5_brotli": (5, "brotli"),
    }
    lines = []
    log_final(
        Evaluation(Score(1.0, 2.0, 3, 4), np.zeros(3, np.float32), "plain", 0.5),
        lines.append,
        Scheme.INT6_BROTLI,
    )
    assert lines[0] == "final_int6_brotli_roundtrip val_loss:1.0000 val_bpb:2.0000 eval_time:500ms"


def test_export_prunes_to_the_cap_and_logs_what_it_wrote(model, tmp_path):
    lines: list[str] = []
    path = tmp_path / "model.pgolf"

    def export(**changes):
        return export_model(
            model, path, code_bytes=100, train_seq_len=8, log=lines.append, scheme=Scheme.INT6_LZMA, **changes
        )

    whole = export()
    cap = whole.total_bytes - 2000
    report = export(prune=PruneConfig(cap_bytes=cap, slack_bytes=1500))
    assert cap - 1500 <= report.total_bytes <= cap
    assert path.stat().st_size == report.model_bytes
    assert lines[3].startswith("selective_prune: zeroed ")
    assert lines[4:] == [
        "Code size: 100 bytes",
        f"Serialized model int6+lzma: {report.model_bytes} bytes (fp32:{4 * model.num_parameters()} "
        f"ratio:{4 * model.num_parameters() / report.model_bytes:.2f}x)",
        f"Total submission size int6+lzma: {report.total_bytes} bytes",
    ]
    before = path.read_bytes()
    with pytest.raises(ArtifactTooLarge, match="cap 1,000"):
        export(prune=PruneConfig(cap_bytes=1000))
    assert path.read_bytes() == before


def test_packing_is_deterministic(model, packed):
    assert pack_model(model) == packed


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_damage_raises_anything_but_artifact_error(packed, data):
    damaged = bytearray(packed)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, min(len(damaged) - 1, 400)))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ArtifactError):
        unpack(bytes(damaged)).build_model()


def rebuilt(packed, change):
    """The artifact with its JSON header changed, and everything else made to fit."""
    body = zlib.decompress(packed[16:])
    (length,) = struct.unpack_from("<I", body)
    header = change(body[4 : 4 + length])
    body = struct.pack("<I", len(header)) + header + body[4 + length :]
    return packed[:8] + struct.pack("<Q", len(body)) + zlib.compress(body)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: b"PK\3\4" + p[4:], "not a pgolf artifact"),
        (lambda p: b"", "not a pgolf artifact"),
        (lambda p: p[:6] + b"\7" + p[7:], "artifact version 7"),
        (lambda p: p[:6] + b"\1" + p[7:], "artifact version 1, expected 2; export the model again"),
        (lambda p: p[:7] + b"\7" + p[8:], "codec 7; expected one of 1 .zlib., 2 .zstd."),
        (lambda p: p[:7] + b"\4" + p[8:], "cannot decompress"),
        (lambda p: p[:-100], "bytes after decompression"),
        (lambda p: p[:8] + struct.pack("<Q", 1 << 40) + p[16:], "uncompressed"),
        (lambda p: rebuilt(p, lambda h: h.replace(b'"fp32"', b'"fp99"')), "kind 'fp99'"),
        (
            lambda p: rebuilt(p, lambda h: h.replace(b'"groups":null', b'"groups":7')),
            "per group of equal size",
        ),
        (lambda p: rebuilt(p, lambda h: h.replace(b'"bits":8', b'"bits":9')), "bits must be 2 to 8"),
        (lambda p: rebuilt(p, lambda h: h.replace(b"blocks.1.mlp.up", b"blocks.0.mlp.up")), "occurs once"),
        (lambda p: rebuilt(p, lambda h: h.replace(b"[600,128]", b"[601,128]")), "truncated|after the last"),
        (lambda p: rebuilt(p, lambda h: h.replace(b"[600,128]", b"[-1,128]")), "non-negative"),
        (lambda p: rebuilt(p, lambda h: h.replace(b'"num_layers":2', b'"num_layers":1')), "do not fit"),
        (lambda p: rebuilt(p, lambda h: h.replace(b'"num_layers":2', b'"num_layers":0')), "damaged header"),
        (
            lambda p: rebuilt(p, lambda h: h.replace(b'"num_layers":2', b'"num_layers":999999999')),
            "do not fit",
        ),
        (
            lambda p: rebuilt(p, lambda h: h.replace(b'"vocab_size":600', b'"vocab_size":99999999')),
            "do not fit",
        ),
        (lambda p: rebuilt(p, lambda h: h.replace(b'_len":1024', b'_len":0')), "train_seq_len is 0"),
        (lambda p: rebuilt(p, lambda h: b"[]"), "damaged header"),
    ],
)
def test_each_damage_is_named(packed, damage, message):
    with pytest.raises(ArtifactError, match=message):
        unpack(damage(packed)).build_model()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ArtifactError, match=r"none\.pgolf: No such file"):
        load_artifact(tmp_path / "none.pgolf")


def test_size_is_checked_against_the_decimal_cap(tmp_path):
    (tmp_path / "a.py").write_text("é\n")
    assert count_code([tmp_path / "a.py"]) == 3
    fits = SizeReport(code_bytes=48_000, model_bytes=15_952_000)
    assert fits.check().spare_bytes == 0
    with pytest.raises(ArtifactTooLarge, match="16,000,001 bytes, 1 OVER the cap of 16,000,000"):
        SizeReport(code_bytes=48_001, model_bytes=15_952_000).check()
