"""Finds the one operator behind thousands of accounts, and shows the evidence for every link."""

__version__ = "0.1.0"
