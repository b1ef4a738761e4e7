"""Prompt fingerprints: find the templates behind prompts, and who used which.

Prompts are the one thing that an operator cannot rotate away. Each prompt is winnowed to a few
prints; prints that travel together and have the same holders are one template.
"""

from linkage.fingerprints._files import PromptFiles
from linkage.fingerprints._templates import Templates, templates
from linkage.fingerprints._write import write_templates
from linkage.fingerprints.config import FingerprintConfig

__all__ = ["FingerprintConfig", "PromptFiles", "Templates", "templates", "write_templates"]
