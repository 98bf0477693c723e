"""Imported once by the server that audits are forked from: everything that each of them would import."""

from verifier.audit import all_rules
from verifier.checks import load_checks
from verifier.report.json import read_report

__all__ = ["all_rules", "load_checks", "read_report"]

load_checks()
all_rules()
