"""The type of what both services speak."""

from typing import Any, TypeAlias


Json: TypeAlias = dict[str, Any]
"""A JSON object."""
