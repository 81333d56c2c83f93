"""What tracing costs, against the SDK's own Mistral module and against the least that logging to Braintrust can cost.

Run ``python -m benchmarks`` in the folder above this one.
"""
