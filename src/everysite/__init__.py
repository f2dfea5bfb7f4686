"""everysite keeps files and records the same at every site."""

__version__ = "0.1.0"
