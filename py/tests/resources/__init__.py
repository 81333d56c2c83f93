"""Tests of what each call logs."""
