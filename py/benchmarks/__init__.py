"""What tracing costs, against the SDK's own Mistral module and against the least that logging to Braintrust can cost.

The calls that they trace as well are compared with the Mistral client's native OpenTelemetry tracing and with
``openinference-instrumentation-mistralai``, each in an environment of its own. ``make bench`` makes these; without
them, run ``python -m benchmarks`` in the folder above this one.
"""
