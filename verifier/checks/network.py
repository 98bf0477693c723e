"""X11-network: downloads, package installs and model hubs in the script."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from verifier.checks import check
from verifier.checks.static_base import calls, look, nothing, unread
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, Where
from verifier.static import Source, last_name

_DOWNLOADS = frozenset(
    re.findall(
        r"\w+",
        """
    urlopen urlretrieve hf_hub_download snapshot_download load_dataset from_pretrained
    load_state_dict_from_url create_connection
    """,
    )
)
_HTTP = frozenset({"requests", "httpx", "aiohttp", "urllib3"})
_SHELL = re.compile(r"^(?:wget|curl|scp|rsync|aws|gsutil|huggingface-cli)$|\bgit clone\b|\b(?:wget|curl) +\S")
_PACKAGES = frozenset(
    re.findall(
        r"\w+",
        """
    nltk spacy wordfreq english_words gensim transformers sentence_transformers fasttext flair textblob
    pattern sacremoses open_clip timm
    """,
    )
)


@check(
    "X11-network",
    title="nothing is downloaded, and no package brings a model or a corpus",
    grade=Grade.STATIC,
    rules=("R-012", "R-014"),
)
def network(evidence: Evidence) -> list[Outcome]:
    """Reads the source for downloads (HTTP libraries, model hubs, `wget` and `curl` in a subprocess) and for imports of
    packages that carry language models, word lists or corpora.

    WARN: such a call or import is live. No match is NOT_APPLICABLE.

    Cannot see: a connection by a library under another name; the sandbox of a probe has no network, so a script
    that needs it stops there.

    Source: README (no external downloads, no network calls during evaluation); R-014.

    Violation: `AutoModelForCausalLM.from_pretrained("gpt2")`, `import wordfreq`. Legal contrast: FlashAttention,
    SentencePiece, a `subprocess` to `lrzip` or a compiler (#1514, #1855).
    """
    source = evidence.source
    if source is None:
        return [unread()]
    outcomes: list[Outcome] = []
    if downloads := list(_downloads(source)):
        outcomes.append(look("the script downloads", downloads, rules=("R-012",)))
    if packages := list(_packages(source)):
        names = ", ".join(sorted({name for name, _ in packages}))
        message = f"it imports packages that bring models, word lists or corpora: {names}"
        outcomes.append(look(message, [where for _, where in packages], rules=("R-014",)))
    return outcomes or [nothing(source, "download or package with a corpus")]


def _downloads(source: Source) -> Iterator[Where]:
    for function, index, call in calls(source):
        name = last_name(call.func)
        base = call.func.value if isinstance(call.func, ast.Attribute) else None
        http = (
            isinstance(base, ast.Name)
            and base.id in _HTTP
            and name in ("get", "post", "stream", "request", "Session")
        )
        shell = name in ("run", "call", "check_call", "check_output", "Popen", "system") and any(
            isinstance(each, ast.Constant) and isinstance(each.value, str) and _SHELL.search(each.value)
            for each in function.under(index)
        )
        if name in _DOWNLOADS or http or shell:
            yield source.program.where(function, call)


def _packages(source: Source) -> Iterator[tuple[str, Where]]:
    for function in source.program.functions:
        for index in function.of(ast.Import, ast.ImportFrom):
            node = function.nodes[index]
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom) and not node.level
                else []
            )
            for name in names:
                if (top := name.partition(".")[0]) in _PACKAGES:
                    yield top, source.program.where(function, node)
