"""Where Chromium is, whatever the system calls it."""

import shutil


NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """Return the path of the system's Chromium, or None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)
