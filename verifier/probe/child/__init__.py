"""Code that runs inside the sandboxed child, beside the submission's own script.

It stands the script on a CPU (`devices`, `precision`, `clock`, `foreign`), and writes down what the
script scores, learns and prints (`tape`, `shadow`). It trusts nothing and decides nothing: the parent
parses what it writes as untrusted data. Modules here import only the standard library, numpy and torch.
"""
