"""`python -m verifier` is `pgolf-verify`."""

from verifier.cli import main

main()
