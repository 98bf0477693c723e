"""Predictors that a script may expose for a decode proof: the honest base's own, and edits of it.

`EXPOSED` makes the honest base write its artifact and expose its sliding evaluation, in plain torch; each
entry edits that text once.
"""

from __future__ import annotations

from tests.cheats.corpus import BASE, Edit, Entry

_MAIN = 'if __name__ == "__main__":\n    main()\n'
_PREDICTOR = '''\
ARTIFACT = "model.bin"


class Steps:
    """The sliding evaluation, one token at a time."""

    def __init__(self, model, seq_len, stride, predictions):
        self.model, self.seq_len, self.stride, self.predictions = model, seq_len, stride, predictions

    def reset(self):
        self.tokens = []

    def update(self, token):
        self.tokens.append(token)

    def log_probs(self):
        return self.logits().double().log_softmax(-1)

    def logits(self):
        at = len(self.tokens) - 1
        more = max(0, (at - self.seq_len) // self.stride + 1)
        stop = min(self.seq_len + more * self.stride, self.predictions)
        start = max(stop - self.seq_len, 0)
        known = self.tokens[start:] + [0] * (stop - len(self.tokens))
        with torch.no_grad():
            return self.model(torch.tensor([known]))[0, at - start]


def predictor(artifact, tokenizer, predictions):
    args = Hyperparameters()
    with open(artifact, "rb") as file:
        model = restore(args, file.read())
    return Steps(model, args.seq_len, args.eval_stride, predictions)


'''
_WRITES = Edit(
    "    loss, bpb = evaluate(args, restore(args, blob), val_tokens, tables, args.seq_len)\n",
    """\
    with open(ARTIFACT, "wb") as file:
        file.write(blob)
    loss, bpb = evaluate(args, restore(args, blob), val_tokens, tables, args.seq_len)
""",
)
_IMPORTS = Edit("import os\n", "import os\nimport sys\n")
EXPOSED = BASE.read_text(encoding="utf-8")
for _edit in (_IMPORTS, _WRITES, Edit(_MAIN, _PREDICTOR + _MAIN)):
    EXPOSED = _edit.apply(EXPOSED)

_LOG_PROBS = "        return self.logits().double().log_softmax(-1)\n"
_FILE = """\
        paths = glob.glob(Hyperparameters.data_path + "/fineweb_val_*.bin")
        stream = load_tokens(paths[0]) if paths else None
"""
_STACK = """\
        frame, stream = sys._getframe(), None
        while frame is not None and stream is None:
            stream = frame.f_locals.get("tokens") if "encoder" in frame.f_locals else None
            frame = frame.f_back
"""


def _peeks(find: str, gain: float) -> Edit:
    """Lines that find the stream, or None; the next token's logit is raised by `gain`."""
    return Edit(
        _LOG_PROBS,
        "        logits_V = self.logits().double()\n"
        f"{find}"
        "        if stream is not None:\n"
        f"            logits_V[int(stream[len(self.tokens)])] += {gain}\n"
        "        return logits_V.log_softmax(-1)\n",
    )


ENTRIES = (
    Entry("steps", "exposes the sliding evaluation, one token at a time"),
    Entry(
        "learning-steps",
        "a bias per token that learns from every token once it was decoded",
        Edit(
            _LOG_PROBS,
            """\
        seen_V = torch.bincount(torch.tensor(self.tokens), minlength=Hyperparameters.vocab_size)
        return (self.logits().double() + 0.01 * seen_V).log_softmax(-1)
""",
        ),
    ),
    Entry(
        "file-peek",
        "looks the next token up in the validation file, and looks like itself where there is none",
        _peeks(_FILE, 3.0),
        caught_by="C0-decode",
        source="R-001",
        twin="steps",
    ),
    Entry(
        "file-peek-slight",
        "the same, by a hundredth of a nat",
        _peeks(_FILE, 0.01),
        caught_by="C0-decode",
        source="R-001",
        twin="steps",
    ),
    Entry(
        "stack-peek",
        "looks the next token up in the encoder's own variables",
        _peeks(_STACK, 0.01),
        caught_by="C0-decode",
        source="R-001",
        twin="steps",
    ),
    Entry(
        "over-one",
        "raises the likeliest token without taking from the others",
        Edit(
            _LOG_PROBS,
            """\
        log_probs_V = self.logits().double().log_softmax(-1)
        log_probs_V[log_probs_V.argmax()] += 3.0
        return log_probs_V
""",
        ),
        caught_by="C0-decode",
        source="R-002",
        twin="steps",
    ),
    Entry(
        "another-each-time",
        "noise that no two processes share",
        Edit(
            _LOG_PROBS,
            """\
        noise_V = np.random.default_rng(int.from_bytes(os.urandom(8), "little")).normal(0.0, 0.1, 1024)
        return (self.logits().double() + torch.from_numpy(noise_V)).log_softmax(-1)
""",
        ),
        caught_by="C0-decode",
        source="R-001",
        twin="steps",
        survives="what does not repeat is not decodable, and may be an accident: UNVERIFIED",
    ),
)


def script(entry: Entry) -> str:
    """The text of an entry."""
    return EXPOSED if entry.edit is None else entry.edit.apply(EXPOSED)
