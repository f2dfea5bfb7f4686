"""The local disk, below any store: contained names, staged files, one sync for many, and what the system can do."""
