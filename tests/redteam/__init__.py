"""Submissions that fight back, and the command that audits all of them: `python -m tests.redteam.table`."""
