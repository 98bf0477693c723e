"""Mutants that use validation text before it is scored: to train, calibrate, fit or choose (R-017, R-020, R-022)."""

from __future__ import annotations

from tests.cheats.corpus import Edit, Entry
from tests.cheats.mutants.anchors import SLIDING

ILLEGAL = (
    Entry(
        "prequant-ttt",
        "trains on the validation stream before quantization",
        Edit(
            "    blob = quantize(",
            """\
    windows_NT = val_tokens[: val_tokens.numel() // args.seq_len * args.seq_len].view(-1, args.seq_len)
    for ids_BT in windows_NT.split(16):
        score(model, ids_BT[:, :-1], ids_BT[:, 1:]).mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    blob = quantize(""",
        ),
        caught_by="C3-order",
        source="#1376, #1972",
        twin="score-first-ttt",
    ),
    Entry(
        "val-in-training",
        "a glob that matches the validation shard too feeds the training loop",
        Edit("fineweb_train_*.bin", "fineweb_*_*.bin"),
        caught_by="C3-order",
        source="R-020",
        twin="honest",
        survives="one training step at audit scale seldom draws validation tokens, and no flip is made in the longer run",
    ),
    Entry(
        "val-calibration",
        "measures the activations that scale the quantization on validation text",
        Edit("quantize(model, train_tokens[", "quantize(model, val_tokens["),
        caught_by="V1-calibration",
        source="#1430, #728",
        twin="random-calibration",
    ),
    Entry(
        "val-hessian",
        "measures second moments of the head's inputs over the whole validation stream for the quantizer",
        Edit(
            "        inputs_D = model.hidden(ids_BT).square().mean(dim=(0, 1)).sqrt()\n",
            """\
        width = ids_BT.size(1)
        val_tokens = load_tokens(f"{Hyperparameters.data_path}/fineweb_val_*.bin")
        rows_BD = model.hidden(val_tokens[: val_tokens.numel() // width * width].view(-1, width)).flatten(0, 1)
        inputs_D = (rows_BD.mT @ rows_BD / rows_BD.size(0)).diagonal().sqrt()
""",
        ),
        caught_by="V1-calibration",
        source="#728, E-01",
        twin="random-calibration",
    ),
    Entry(
        "bias-of-val-counts",
        "adds the logarithm of the validation stream's own token counts to the logits",
        Edit(
            "    model = restore(args, blob)\n",
            """\
    model = restore(args, blob)
    model.head.bias = nn.Parameter(0.1 * (torch.bincount(val_tokens, minlength=args.vocab_size) + 1.0).log())
""",
        ),
        caught_by="C1-flip",
        source="R-001, R-043",
        twin="bias-of-prefix-counts",
    ),
    Entry(
        "temperature-fitted-on-val",
        "fits the softmax's temperature by gradient descent on the validation loss",
        Edit(
            "    model = restore(args, blob)\n",
            """\
    model = restore(args, blob)
    temperature = torch.ones((), requires_grad=True)
    fitter = torch.optim.Adam([temperature], lr=0.05)
    ids_BT = val_tokens[: val_tokens.numel() // args.seq_len * args.seq_len].view(-1, args.seq_len)
    hidden_BTD = model.hidden(ids_BT[:, :-1]).detach()
    for _ in range(8):
        logits_BTV = model.head(hidden_BTD).detach() / temperature
        F.cross_entropy(logits_BTV.flatten(0, 1), ids_BT[:, 1:].flatten()).backward()
        fitter.step()
        fitter.zero_grad()
    model.head.weight.data /= temperature.detach()
""",
        ),
        caught_by="C1-flip",
        source="R-017",
        twin="temperature-of-training",
    ),
    Entry(
        "temperature-picked-on-val",
        "tries five temperatures on the validation stream and reports the best",
        Edit(
            SLIDING,
            """\
    heads = [temperature * model.head.weight.data for temperature in (0.8, 0.9, 1.0, 1.1, 1.2)]
    tried = []
    for model.head.weight.data in heads:
        tried.append(evaluate(args, model, val_tokens, tables, args.eval_stride))
    loss, bpb = min(tried)
""",
        ),
        caught_by="C4-ledger",
        source="R-019, R-004",
        twin="temperature-of-training",
        survives="the number printed is the least of five, and the ledger does not say of which pass it is: a review",
    ),
    Entry(
        "checkpoint-picked-on-val",
        "keeps the checkpoint of the training step whose validation loss was least",
        Edit(
            "        optimizer.zero_grad(set_to_none=True)\n",
            """\
        optimizer.zero_grad(set_to_none=True)
        val_loss, _ = evaluate(args, model, val_tokens[:1025], tables, args.seq_len)
        if "best" not in locals() or val_loss < best:
            best, kept = val_loss, {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(kept)
""",
        ),
        caught_by="C1-flip",
        source="R-020",
        twin="validation-logged",
        survives="an audit trains for one step, which leaves one checkpoint to pick",
    ),
    Entry(
        "paid-prefix",
        "stores the first 1,025 validation tokens, and raises the logit of each where the text so far is theirs",
        Edit(
            SLIDING,
            """\
    plain, stored_T = model.forward, val_tokens[:1025].clone()

    def recalled(ids_BT):
        logits_BTV = plain(ids_BT)
        known_BT = (ids_BT == stored_T[: ids_BT.size(1)]).long().cumprod(1)
        next_BT = stored_T[1 : ids_BT.size(1) + 1].expand_as(ids_BT)
        return logits_BTV.scatter_add(2, next_BT[..., None], 8.0 * known_BT[..., None])

    model.forward = recalled
"""
            + SLIDING,
        ),
        caught_by="E1-floor",
        source="R-022, #168, #275",
        twin="honest",
    ),
)
