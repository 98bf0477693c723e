"""pgolf-verify: audit an unmodified parameter-golf submission."""

__version__ = "0.1.0"
