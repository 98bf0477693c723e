"""PEP 701 f-strings on 3.11: same values, same lines, and nothing touched that 3.11 already reads."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.grammar import downgrade, parse, rewrite

NAMES: dict[str, Any] = {
    "d": {"k": "v'\"", "a b": 2, "": "e", "\n": "nl"},
    "rows": [{"n": 1.25}, {"n": 2.5}],
    "x": 3.14159,
    "w": {"width": 9, "digits": 2},
    "name": "text",
}

# source that only 3.12 parses, and the value that 3.12 gives it
CASES = [
    ('f"{d["k"]}"', "v'\""),
    ("f'{d['a b']:>5}|'", "    2|"),
    ('f"{", ".join(f"{row["n"]:.1f}" for row in rows)}"', "1.2, 2.5"),
    (r'f"{"\n".join(str(r["n"]) for r in rows)}"', "1.25\n2.5"),
    (r"""f'{'"'}{"'"}'""", "\"'"),
    ('f"{x:>{w["width"]}.{w["digits"]}f}"', "     3.14"),
    ('f"{d["a b"]!r:>4}"', "   2"),
    ('f"{d["a b"]=}"', 'd["a b"]=2'),
    ('f"{d["a b"] = :>4}"', 'd["a b"] =    2'),
    ('rf"\\d{d["a b"]}\\"', None),
    (r'rf"\d{d["a b"]}"', r"\d2"),
    ('f"{\n    d["a b"]  # the second\n}"', "2"),
    ('f"{(\n  x,\n  name\n)}"', "(3.14159, 'text')"),
    ('f"""{d["""k"""]}"""', "v'\""),
    ('f"""{\n  d["\\n"]  # why not\n}"""', "nl"),
    ('f"{f"{f"{f"{1+1}"}"}"}"', "2"),
    (r'f"{d["\n"]}{"\\"}{b"\x00\xff"!r}"', "nl\\b'\\x00\\xff'"),
    ('"a" f"{d["a b"]}" "c"', "a2c"),
    ('f"{{{d["a b"]}}}"', "{2}"),
    ('f"{"{}"}"  f"{"#"}"', "{}#"),
    (r'f"{"\N{BULLET} \x41 \u2014"}"', "\N{BULLET} A \N{EM DASH}"),
    ('f"{"" if x != 3 else "no"}{d[""]}"', "e"),
    ('f"{(lambda a: a["k"])(d)}"', "v'\""),
    (r"""f"{'it''s' "\t" 'x'}" """, "its\tx"),
    (r'f"{r"\n"}{d["k"][0:1]}"', "\\nv"),
    ('f"{x:{"0>" + "9"}.3}"', "000003.14"),
]


@pytest.mark.parametrize(("source", "value"), [case for case in CASES if case[1] is not None])
def test_a_new_f_string_keeps_its_value(source: str, value: str) -> None:
    program = f"before = 1\nresult = ({source})\nafter = 1\n"
    old = rewrite(program)
    tree = ast.parse(old)
    assert [statement.lineno for statement in tree.body][-1] == program.count("\n")
    scope = dict(NAMES)
    exec(compile(tree, "case", "exec"), scope)  # our own text
    assert scope["result"] == value


def test_what_no_grammar_parses_stays_as_it_is() -> None:
    for source in ('f"{', 'x = f"{a b["c"]}" +', "def f(:\n", 'f"{d["k"}"', "'''", 'f"{!r}"', "\0"):
        assert downgrade(source) == source
        with pytest.raises((SyntaxError, ValueError)):
            parse(source)


def test_source_that_rebinds_chr_is_left_alone() -> None:
    source = 'chr = 1\nx = f"{"\\n"}"\n'
    assert rewrite(source) == source


def test_lines_after_a_folded_f_string_keep_their_numbers() -> None:
    source = 'x = f"{\n1\n}"  # tail\ny = 2\nf(f"{\n2 # c\n}", 3)\nz = f"{\n3\n}"'
    tree = ast.parse(rewrite(source))
    assert [statement.lineno for statement in tree.body] == [1, 4, 5, 8]


def test_the_grammar_is_reported() -> None:
    assert parse("x = f'{1}'").grammar == "3.11"
    assert parse('x = f"{d["k"]}"').grammar == "3.12"


def test_this_repository_needs_no_rewriting() -> None:
    for path in Path(__file__).parents[3].glob("verifier/**/*.py"):
        source = path.read_text()
        assert rewrite(source) == source, path


def test_it_imports_nothing_else_of_the_verifier_and_no_library() -> None:
    code = (
        "import sys, verifier.grammar\n"
        "ours = {'verifier', 'verifier.grammar', 'verifier.grammar.scan', 'verifier.grammar.spell'}\n"
        "assert {name for name in sys.modules if name.split('.')[0] == 'verifier'} == ours\n"
        "assert not {'torch', 'numpy', 'rich'} & set(sys.modules)\n"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


plain = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


@given(st.lists(st.tuples(plain, plain), max_size=3), st.sampled_from(["'", '"', "'''", '"""']))
def test_any_text_survives_inside_a_field(parts: list[tuple[str, str]], quote: str) -> None:
    """Literals in any spelling, nested in an f-string with the same quote, keep their value."""
    body, expected = "", ""
    for literal, inner in parts:
        spelled = "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}" for c in literal)
        nested = repr(inner) if quote != "'" else '"' + repr(inner + '"')[1:-1].replace('"', '\\"')[:-2] + '"'
        body += spelled + "{" + nested + "}"
        expected += literal + ast.literal_eval(nested)
    source = f"f{quote}{body}{quote}"
    assert ast.literal_eval(ast.unparse(_fold(ast.parse(rewrite(source), mode="eval").body))) == expected


def _fold(node: ast.expr) -> ast.expr:
    """The value of an f-string of constants, as a constant."""
    return ast.Constant(eval(compile(ast.Expression(node), "case", "eval")))


@given(st.text(alphabet="f\"'{}x:!=\\\n#() r", max_size=40))
def test_no_text_makes_it_raise_or_change_what_parses(source: str) -> None:
    rewritten = downgrade(source)
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        return
    assert rewritten == source
