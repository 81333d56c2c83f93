"""Tells PyInstaller what an application with `braintrust_mistral` consists of: nothing imports it by its place.

The frozen application calls `braintrust_mistral.activate()`, as no start-up file is read there.
"""

import contextlib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from PyInstaller.utils.hooks import copy_metadata

import braintrust_mistral


_PACKAGE = Path(braintrust_mistral.__file__).parent

hiddenimports = [
    ".".join(file.relative_to(_PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for file in sorted((_PACKAGE / "integrations").rglob("*.py"))
]

# Versions that are known decide what is traced, and what the doctor says of it.
datas: list[tuple[str, str]] = []
for distribution in ("braintrust-mistral", "braintrust", "mistralai"):
    with contextlib.suppress(PackageNotFoundError):
        datas += copy_metadata(distribution)
