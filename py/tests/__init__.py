"""All tests but the SDK's own `test_mistral.py`, in the rooms of what they test."""
