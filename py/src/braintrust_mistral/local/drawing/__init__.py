"""Traces as pictures, for terminals and pages."""
