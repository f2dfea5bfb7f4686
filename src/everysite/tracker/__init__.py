"""The verbs: everything the system can be asked to do, with no web in it. Start at `contract.py`."""
