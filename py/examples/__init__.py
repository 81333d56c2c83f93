"""Runnable examples; each module shows one thing and says which."""
