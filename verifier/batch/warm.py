"""Imported once by the server that audits are forked from: everything that each of them would import."""

from verifier.audit import all_rules
from verifier.batch.task import tool_stamp
from verifier.checks import load_checks
from verifier.report.json import read_report

__all__ = ["all_rules", "load_checks", "read_report", "tool_stamp"]

load_checks()
all_rules()
tool_stamp()  # of the code that was imported here, whatever is edited while a long batch runs
