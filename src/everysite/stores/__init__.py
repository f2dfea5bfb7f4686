"""Where bytes are. Other rooms see `contract.py` only; `assemble.py` picks the adapters."""
