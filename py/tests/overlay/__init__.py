"""Tests of the distribution: overlay, doctor, README."""
