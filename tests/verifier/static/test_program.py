"""The live program: which code the submitted environment reaches, and what its values are."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping

import pytest

from verifier.static import MODULE, Flow, Label, Program, build_program
from verifier.static.ctokens import functions_of

ENTRY = "train_gpt.py"


def program(source: str, env: Mapping[str, str] | None = None, **siblings: str) -> Program:
    files = {f"{name}.py": textwrap.dedent(text) for name, text in siblings.items()}
    built = build_program(ENTRY, textwrap.dedent(source), env or {}, files)
    assert built is not None
    return built


def live(source: str, env: Mapping[str, str] | None = None, **siblings: str) -> set[str]:
    return {function.name for function in program(source, env, **siblings).functions} - {MODULE}


@pytest.mark.parametrize(
    ("switch", "on"),
    [
        ("bool(int(os.environ.get('ON', '0')))", {"ON": "1"}),
        ("os.environ.get('ON', 'off') == 'on'", {"ON": "on"}),
        ("'ON' in os.environ", {"ON": ""}),
        ("int(os.getenv('ON', 0)) >= 2", {"ON": "3"}),
        ("os.environ.get('ON', 'no').lower() in ('1', 'true', 'yes')", {"ON": "True"}),
        ("env_int('ON', 0) > 0", {"ON": "7"}),
        ("H.on", {"ON": "1"}),
        ("getattr(H, 'on', True) and unknown()", {"ON": "1"}),
    ],
)
def test_what_a_switch_turns_off_is_dead(switch: str, on: dict[str, str]):
    source = f"""
    import os
    def env_int(name, default):
        return int(os.environ.get(name, default))
    class H:
        on = bool(int(os.environ.get("ON", "0")))
    def mechanism():
        pass
    if {switch}:
        mechanism()
    """
    assert "mechanism" not in live(source)
    assert "mechanism" in live(source, on)


def test_a_switch_that_cannot_be_known_leaves_both_branches_live():
    source = """
    import sys
    def a(): pass
    def b(): pass
    if sys.argv[1] == "a":
        a()
    else:
        b()
    """
    assert live(source) == {"a", "b"}


def test_a_name_that_is_bound_twice_is_not_a_constant():
    source = "ON = False\nON = True\ndef f(): pass\nif ON:\n    f()\n"
    assert live(source) == {"f"}


def test_statements_after_a_return_are_dead():
    source = """
    import os
    def late(): pass
    def main():
        if not int(os.environ.get("ON", "0")):
            return
        late()
    main()
    """
    assert live(source) == {"main"}
    assert live(source, {"ON": "1"}) == {"main", "late"}


def test_forward_is_live_with_its_class_and_other_methods_by_name():
    source = """
    class Net:
        def forward(self, x): return self.head(x)
        def head(self, x): return x
        def unused(self): pass
    Net()(1)
    """
    assert live(source) == {"forward", "head"}


def test_only_an_imported_module_is_live():
    body = "def work(): pass\nwork()\n"
    assert live("import helper\n", helper=body, other=body) == {"work"}
    assert len(program("import helper\n", helper=body, other=body).modules) == 2


def test_a_function_in_a_try_is_one_function():
    assert live("try:\n    def f(): pass\nexcept ImportError:\n    pass\nf()\n") == {"f"}


def test_source_that_does_not_parse_is_no_program():
    assert build_program(ENTRY, "def broken(:\n", {}, {}) is None


def label(source: str, name: str) -> int:
    built = program(source)
    flow = Flow(built)
    function = next(each for each in built.functions if each.name == "f")
    return flow.name(function, name)


def test_labels_follow_assignments_calls_and_returns():
    source = """
    def pick(t): return t[1:]
    def f(data):
        chunk = data[0:9].to("cuda")
        want = chunk[1:]
        far = pick(chunk)
        rows[0, :4] = chunk
    f(load_validation_tokens("x"))
    """
    assert label(source, "chunk") == Label.VAL
    assert label(source, "want") & Label.TARGET
    assert label(source, "far") & Label.TARGET
    assert label(source, "rows") & Label.VAL


def test_a_model_s_output_is_no_target():
    assert not label("def f(y):\n    out = model(x, y)\nf(1)\n", "out") & Label.TARGET


KERNEL = """
/* tokens[i] in a comment */
void f(const int *tokens) {
    int tok = tokens[i];
    int cls = word_lut[tok];
    %s
}
"""


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("if (cls) { out[i] = 1; }", [5]),
        ("if (cls) out[i] = 1;", [5]),
        ("if (cls) { state = 1; }", []),
        ("if (cls) { same = out[i] == 1; }", []),
        ("if (other) { out[i] = 1; }", []),
    ],
)
def test_a_gate_in_c_is_a_class_a_condition_and_a_write(body: str, lines: list[int]):
    found = [line for each in functions_of(KERNEL % body) for line in each.gates(re.compile("word"))]
    assert found == lines
