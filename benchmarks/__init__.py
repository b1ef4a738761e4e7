"""Benchmarks: how right and how fast linkage is, beside the methods that its users know."""
