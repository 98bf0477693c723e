"""The parameter-golf training and evaluation stack, legal by construction."""
