"""The sides that trace with OpenTelemetry, whose SDK keeps their spans in memory."""

from mistralai.client import Mistral
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from .sides import Side


class OpenTelemetryLog:
    """OpenTelemetry's spans of one side."""

    def __init__(self, side: Side, client: Mistral) -> None:
        provider = TracerProvider()
        self._spans = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self._spans))
        if side is Side.NATIVE:
            from mistralai.extra.observability import configure_telemetry

            # With a provider of one's own there is no redaction, and asking for it is answered with a warning.
            configure_telemetry(client, provider=provider, redaction=False)
        else:
            from openinference.instrumentation.mistralai import MistralAIInstrumentor

            MistralAIInstrumentor().instrument(tracer_provider=provider)

    def open(self) -> None:
        """Do nothing: these sides trace all the time."""

    def close(self) -> None:
        """Do nothing either."""

    def clear(self) -> None:
        """Forget the spans."""
        self._spans.clear()

    def records(self) -> int:
        """Count the spans."""
        return len(self._spans.get_finished_spans())

    def sent_bytes(self) -> int:
        """Refuse: none of it goes to Braintrust."""
        raise NotImplementedError
