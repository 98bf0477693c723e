"""Measurements: each module is a command that prints a table. Nothing here runs in the test suite."""
