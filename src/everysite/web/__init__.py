"""The doors: the tracker's operations over HTTP."""
