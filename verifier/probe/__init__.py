"""Run a submission's own script and record what it did; evidence only, no verdicts."""
