"""How long a plan takes, against what a machine could do and what transformers does with the same weights."""
