"""What PyInstaller asks of this distribution, by the entry point `pyinstaller40`."""

from pathlib import Path


def hook_folders() -> list[str]:
    """Return the folders with PyInstaller hooks."""
    return [str(Path(__file__).parent)]
