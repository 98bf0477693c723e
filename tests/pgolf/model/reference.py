"""The whole model a second time: float64, one position and one head after the other, no fast op.

Written from the techniques' descriptions, to be compared with `pgolf.model`; it shares no code with it.
"""

import math

import torch

from pgolf.model import GPT, GPTConfig

SMALL = GPTConfig(vocab_size=64, num_layers=3, model_dim=32, num_heads=4, num_kv_heads=2)
EVERYTHING = {
    "rope_dims": 4,
    "mlp_activation": "leaky_relu2",
    "value_residual": True,
    "value_embed_dim": 6,
    "value_embed_layers": (1, 3),
    "xsa_last_n": 2,
    "gated_attention": True,
    "smear_gate": True,
    "bigram_vocab_size": 50,
    "bigram_dim": 5,
    "engram_layers": (0, 2),
    "engram_orders": (2, 3),
    "engram_buckets": 11,
    "engram_dim": 4,
    "ln_scale": True,
    "loop_start": 1,
    "loop_end": 2,
    "loop_count": 2,
    "parallel_from": 2,
    "document_mask": True,
    "num_layers": 4,
}
"""All techniques that can stand together, on one small model."""


def small(**changes):
    return GPTConfig(**{**SMALL.to_json(), **changes})


def random_model(config=SMALL, seed=0, std=0.3):
    """Every parameter drawn anew: zero-initialized maps would hide mistakes."""
    torch.manual_seed(seed)
    model = GPT(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return model


def random_ids(*shape, seed=0, documents=True):
    """Ids of SMALL's vocabulary; every fourth or so begins a document."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(2, 64, shape, generator=generator)
    begins = torch.rand(shape, generator=generator) < 0.25
    return ids.where(~begins, 1) if documents else ids


def norm(x):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + torch.finfo(torch.float32).eps)


def sigmoid(x):
    return 1 / (1 + torch.exp(-x))


def rope(head, position, turned, base):
    """Pairs as complex numbers, turned back by position x frequency."""
    half = turned // 2
    pairs = torch.complex(head[:half], head[half:turned])
    angle = torch.tensor([position * base ** (-2 * i / turned) for i in range(half)], dtype=torch.float64)
    pairs = pairs * torch.polar(torch.ones_like(angle), -angle)
    return torch.cat((pairs.real, pairs.imag, head[turned:]))


class Reference:
    """`logits(ids)` of one sequence."""

    def __init__(self, model, window=None):
        self.c = model.config
        self.w = {name: tensor.detach().double() for name, tensor in model.state_dict().items()}
        self.window = window or 10**9
        self.width = self.c.model_dim // self.c.num_heads

    def ngram(self, ids, t, order):
        """The last `order` tokens at t, newest first, or None when they are cut short."""
        if t - order + 1 < 0 or self.c.bos_id in ids[t - order + 2 : t + 1]:
            return None
        return [ids[t - back] for back in range(order)]

    def embeddings(self, ids):
        rows = []
        for t, token in enumerate(ids):
            x = self.w["tok_emb.weight"][token]
            if self.c.bigram_vocab_size:
                pair = self.ngram(ids, t, 2)
                last = self.c.bigram_vocab_size - 1
                row = last if pair is None else ((36313 * pair[0]) ^ (27191 * pair[1])) % last
                x = x + self.w["bigram.scale"] * (
                    self.w["bigram.proj.weight"] @ self.w["bigram.table.weight"][row]
                )
            rows.append(norm(x))
        if not self.c.smear_gate:
            return rows
        g = sigmoid(self.w["smear.gate"])
        return [
            x if self.ngram(ids, t, 2) is None else (1 - g) * x + g * rows[t - 1] for t, x in enumerate(rows)
        ]

    def memory(self, ids, t):
        """The n-gram rows at t, side by side; buckets by the same hash as the model, on Python integers."""
        from pgolf.model.engram import multiplier

        found = []
        for order in self.c.engram_orders:
            gram = self.ngram(ids, t, order)
            for head in range(self.c.engram_heads):
                if gram is None:
                    found.append(torch.zeros(self.c.engram_dim, dtype=torch.float64))
                    continue
                mixed = 0
                for back, token in enumerate(gram):
                    mixed ^= token * multiplier(head + self.c.engram_heads * order, back)
                bucket = (mixed ^ (mixed >> 29)) % self.c.engram_buckets
                found.append(self.w["engram.table.weight"][len(found) * self.c.engram_buckets + bucket])
        return torch.cat(found)

    def attention(self, layer, xs, ids, own_first):
        c, w, name = self.c, self.w, f"blocks.{layer}.attn."
        cut = lambda flat: flat.view(-1, self.width)  # noqa: E731
        values, own = [], []
        for t, x in enumerate(xs):
            value = w[name + "value.weight"] @ x
            if layer in c.value_embed_layers:
                scale = w["value_embed.layer_scales"][c.value_embed_layers.index(layer)]
                row = w["value_embed.table.weight"][ids[t]]
                value = value + scale * (w["value_embed.proj.weight"] @ row)
            own.append(value)
            if own_first is not None and c.value_residual and layer > 0:
                value = value + sigmoid(w[name + "value_gate"]) * own_first[t]
            values.append(value)
        keys = [norm(cut(w[name + "key.weight"] @ x)) for x in xs]
        turned, group = c.rope_dims or self.width, c.num_heads // c.num_kv_heads
        out = []
        for t, x in enumerate(xs):
            queries = norm(cut(w[name + "query.weight"] @ x))
            seen = [
                s
                for s in range(t + 1)
                if t - s < self.window and not (c.document_mask and c.bos_id in ids[s + 1 : t + 1])
            ]
            heads = []
            for h in range(c.num_heads):
                k = h // group
                q = w[name + "q_gain"][h] * rope(queries[h], t, turned, c.rope_base)
                scores = torch.stack([q @ rope(keys[s][k], s, turned, c.rope_base) for s in seen])
                weights = torch.exp(scores / math.sqrt(self.width))
                weights = weights / weights.sum()
                y = sum(p * cut(values[s])[k] for p, s in zip(weights, seen, strict=True))
                if layer >= c.num_layers - c.xsa_last_n:
                    v = cut(values[t])[k]
                    y = y - torch.outer(v, v) @ y / (v @ v)
                if c.gated_attention:
                    y = y * sigmoid(w[name + "head_gate.weight"][h] @ x + w[name + "head_gate.bias"][h])
                heads.append(y)
            out.append(w[name + "proj.weight"] @ torch.cat(heads))
        return out, own

    def mlp(self, layer, x):
        up = self.w[f"blocks.{layer}.mlp.up.weight"] @ x
        slope = 0.5 if self.c.mlp_activation == "leaky_relu2" else 0.0
        hidden = torch.where(up > 0, up, slope * up) ** 2
        return self.w[f"blocks.{layer}.mlp.proj.weight"] @ hidden

    def hidden(self, ids):
        c, w = self.c, self.w
        span = list(range(c.loop_start, c.loop_end + 1))
        order = list(range(c.loop_start)) + span * c.loop_count + list(range(c.loop_end + 1, c.num_layers))
        half = len(order) // 2
        x0 = self.embeddings(ids)
        xs, left, own_first = list(x0), {}, None
        for run, layer in enumerate(order):
            block = {n: w[f"blocks.{layer}.{n}"] for n in ("attn_scale", "mlp_scale", "resid_mix")}
            source = 2 * half - 1 - run  # the runs pair up around the middle
            if c.unet_skips and source in left and run >= half:
                xs = [
                    x + w["skip_weights"][run - half] * skip for x, skip in zip(xs, left[source], strict=True)
                ]
            if layer in c.engram_layers:
                reader = f"engram.readers.{layer}."
                found = [self.memory(ids, t) for t in range(len(ids))]
                keys = [norm(w[reader + "key.weight"] @ m) for m in found]
                gates = [sigmoid(norm(x) @ k / math.sqrt(c.model_dim)) for x, k in zip(xs, keys, strict=True)]
                xs = [
                    x + g * (w[reader + "value.weight"] @ m) for x, g, m in zip(xs, gates, found, strict=True)
                ]
            scale = 1 / math.sqrt(layer + 1) if c.ln_scale else 1.0
            xs = [block["resid_mix"][0] * x + block["resid_mix"][1] * x0[t] for t, x in enumerate(xs)]
            mixed, own = self.attention(layer, [scale * norm(x) for x in xs], ids, own_first)
            own_first = own if own_first is None else own_first
            after = [x + block["attn_scale"] * y for x, y in zip(xs, mixed, strict=True)]
            parallel = c.parallel_from is not None and layer >= c.parallel_from
            read = xs if parallel else after
            xs = [
                a + block["mlp_scale"] * self.mlp(layer, scale * norm(r))
                for a, r in zip(after, read, strict=True)
            ]
            left[run] = xs
        return [norm(x) for x in xs]

    def logits(self, ids):
        head = self.w.get("lm_head.weight", self.w["tok_emb.weight"])
        return torch.stack(
            [self.c.logit_softcap * torch.tanh(head @ x / self.c.logit_softcap) for x in self.hidden(ids)]
        )


def assert_matches_reference(model, ids_BT):
    expected = torch.stack([Reference(model).logits(row.tolist()) for row in ids_BT])
    torch.testing.assert_close(model(ids_BT).double(), expected, atol=2e-4, rtol=2e-4)


def assert_causal(model, ids_BT):
    """Bit for bit: no output moves when later tokens do."""
    before = model(ids_BT)
    for position in range(1, ids_BT.size(1)):
        changed = ids_BT.clone()
        changed[:, position:] = (changed[:, position:] + 1) % model.config.vocab_size
        assert torch.equal(before[:, :position], model(changed)[:, :position])
