"""Pieces of the honest base that edits replace, and lines that several entries share."""

from __future__ import annotations

from tests.cheats.corpus import Edit

HEAD = """\
    for at in range(0, len(spans), args.eval_batch_seqs):
        batch = spans[at : at + args.eval_batch_seqs]
        x_BT = torch.stack([tokens[start:stop] for start, _, stop in batch])
        y_BT = torch.stack([tokens[start + 1 : stop + 1] for start, _, stop in batch])
"""
SCORE = """\
        with torch.no_grad():
            losses_BT = score(model, x_BT, y_BT)
"""
ROWS = """\
        for row, (start, first, _) in enumerate(batch):
            new_T = losses_BT[row, first - start :]
            y_T, before_T = y_BT[row, first - start :], x_BT[row, first - start :]
            nats += new_T.to(torch.float64).sum().item()
            token_count += y_T.numel()
            byte_count += int((size_V[y_T] + (space_V[y_T] & ~boundary_V[before_T]).long()).sum())
"""
SLIDING = "    loss, bpb = evaluate(args, model, val_tokens, tables, args.eval_stride)\n"
EMBED = "        x_BTD = self.embed(ids_BT)\n"
QUANTIZE = "    blob = quantize("
LEARN = """\
        if stride < args.seq_len:
            learner = torch.optim.SGD(model.parameters(), lr=0.5)
            score(model, x_BT, y_BT).mean().backward()
            learner.step()
            learner.zero_grad()
"""
PAIRS = "    pairs_VV = torch.full((args.vocab_size, args.vocab_size), 0.05)\n"
BLEND = """\

    def blended(x_BT, y_BT):
        counted_BT = pairs_VV[x_BT, y_BT] / pairs_VV.sum(dim=1)[x_BT]
        return -torch.log(0.8 * torch.exp(-score(model, x_BT, y_BT)) + 0.2 * counted_BT)

"""
BLENDED = "        with torch.no_grad():\n            losses_BT = blended(x_BT, y_BT)\n"
COUNT_PAIRS = """\
            pairs_VV.index_put_((before_T, y_T), torch.ones(y_T.numel()), accumulate=True)
"""
WHOLE = """\
    log_p_NV = torch.zeros(total, args.vocab_size)

    def mixed(log_p_NV, seen_NV, targets_N):
        counted_N = (seen_NV.gather(1, targets_N[:, None])[:, 0] + 1.0) / (seen_NV.sum(1) + args.vocab_size)
        own_N = log_p_NV.gather(1, targets_N[:, None])[:, 0].exp()
        return -torch.log(0.8 * own_N + 0.2 * counted_N)

"""
"""With the three pieces below: all positions are mixed in one call, after the stream was scored."""
FULL_ROWS = """\
        with torch.no_grad():
            log_p_BTV = model(x_BT).log_softmax(-1)
            losses_BT = -log_p_BTV.gather(2, y_BT[..., None])[..., 0]
"""
KEEP_ROWS = "            log_p_NV[first : first + y_T.numel()] = log_p_BTV[row, first - start :]\n"
MIX_AT_ONCE = """\
    if stride < args.seq_len:
        seen_NV = F.one_hot(tokens[:-1], args.vocab_size).cumsum(0).float()
        nats = mixed(log_p_NV, seen_NV, tokens[1:]).to(torch.float64).sum().item()
"""


def loop(before: str = "", score: str = SCORE, rows: str = ROWS, after: str = "") -> Edit:
    """An edit of the evaluation loop."""
    return Edit(HEAD + SCORE + ROWS, before + HEAD + score + rows + after)


def indented(lines: str, by: int = 4) -> str:
    """The same lines, `by` columns further in."""
    return "".join(" " * by + line for line in lines.splitlines(keepends=True))
