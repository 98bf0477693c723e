"""Run a submission whole, in a sandboxed child, and record what it did. Decides nothing."""
