"""Tests of client-side runs."""
