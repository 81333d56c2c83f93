"""Tests of the local services."""
