"""A local Braintrust, which receives what the SDK sends."""
