"""The version of the package: one place that every layer can read."""

__version__ = "0.1.0"
