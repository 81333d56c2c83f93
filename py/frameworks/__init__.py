"""Frameworks on top of the Mistral client, each in an environment of its own: `nox -s frameworks` makes them."""
