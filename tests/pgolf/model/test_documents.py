"""With isolated documents, each is read as if it stood alone."""

import pytest
import torch

from pgolf.model.visibility import visible

from .reference import EVERYTHING, random_ids, random_model, small


def cut_documents(ids):
    """Spans [start, end) that begin at id 1 (the first one wherever it begins)."""
    starts = sorted({0} | {t for t, token in enumerate(ids.tolist()) if token == 1})
    return zip(starts, [*starts[1:], len(ids)], strict=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"document_mask": True},
        {"document_mask": True, "num_kv_heads": 4, "rope_dims": 2},
        {**EVERYTHING, "engram_orders": (2, 3, 5)},
        {"document_mask": True, "ssm_layers": (0, 2), "smear_gate": True},
        {"document_mask": True, "ssm_layers": (0, 1, 2)},
    ],
    ids=["attention", "multi-head", "everything", "hybrid", "state-space"],
)
def test_every_document_alone_gives_the_same_logits(changes):
    model, ids = random_model(small(**changes), std=0.2), random_ids(1, 40)
    together = model(ids)
    spans = list(cut_documents(ids[0]))
    assert len(spans) > 5
    for start, end in spans:
        alone = model(ids[:, start:end])
        torch.testing.assert_close(together[:, start:end], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "changes", [{"smear_gate": True}, {"bigram_vocab_size": 99}, {"engram_layers": (0, 1)}]
)
def test_embeddings_take_nothing_from_before_a_document(changes):
    """Attention may see across; the technique alone must not: in a model of one layer without attention."""
    config = small(**{**changes, "engram_layers": (0,) if "engram_layers" in changes else ()}, num_layers=1)
    model = random_model(config)
    torch.nn.init.zeros_(model.blocks[0].attn.proj.weight)
    ids = random_ids(1, 12, documents=False)
    ids[0, 6] = 1
    changed = ids.clone()
    changed[0, :6] = (changed[0, :6] + 1) % 64
    before, after = model(ids), model(changed)
    assert not torch.equal(before[:, :6], after[:, :6])
    assert torch.equal(before[:, 6:], after[:, 6:])
    ids[0, 6] = changed[0, 6] = 2
    assert not torch.equal(model(ids)[:, 6], model(changed)[:, 6])


def test_the_mask_is_the_definition_pair_by_pair():
    ids, bos_id = random_ids(2, 14), 1
    for num_queries in (14, 5):
        for window in (None, 1, 4, 20):
            mask = visible(ids, num_queries, window=window, bos_id=bos_id)
            for row in range(2):
                for query in range(num_queries):
                    at = 14 - num_queries + query
                    for key in range(14):
                        begins_between = bos_id in ids[row, key + 1 : at + 1].tolist()
                        near = window is None or at - key < window
                        expected = key <= at and near and not begins_between
                        assert bool(mask[row, 0, query, key]) == expected


def test_plain_causal_attention_needs_no_mask():
    assert visible(random_ids(2, 9), 9, window=None, bos_id=None) is None
    assert visible(random_ids(2, 9), 9, window=9, bos_id=None) is None
    assert visible(random_ids(2, 9), 9, window=8, bos_id=None) is not None
