"""Tests of spans, streams and their ends."""
