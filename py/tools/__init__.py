"""What those who carry on need beside the tests."""
