"""Tests of OpenTelemetry's words."""
