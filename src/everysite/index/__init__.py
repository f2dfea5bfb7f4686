"""What we remember. Other rooms see `contract.py` only; `assemble.py` picks the engine."""
