"""Texts for consoles and files that cannot show every character, as on Windows where the output is a pipe."""

# One for one, so that columns stay where they are.
_SIMPLER = str.maketrans("━╌│├└─…→", "=-|+`-.>")


def encodable(text: str, encoding: str | None) -> str:
    """Return the text with what this encoding has: simpler lines in a tree, and question marks for what else it lacks.

    Args:
        text: the text.
        encoding: the stream's; `None` has every character.
    """
    if encoding is None:
        return text
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_SIMPLER).encode(encoding, "replace").decode(encoding)
    return text
