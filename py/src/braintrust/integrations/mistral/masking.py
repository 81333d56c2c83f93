"""Whether what people, models and tools say is kept back: then no error and no file name may repeat it."""

from typing import Any

from braintrust import logger

from .settings import settings


def is_masking() -> bool:
    """Tell whether a masking function is set, by `braintrust.set_masking_function`, or no content is logged at all.

    A masking function sees input, output, metadata and the like, once a span is logged, and neither `error` nor
    attachments.
    """
    if not settings().content:
        return True
    background_logger: Any = logger._state.global_bg_logger()  # pyright: ignore[reportPrivateUsage]
    if getattr(background_logger, "masking_function", None) is not None:
        return True
    # From 0.47 on it is the last of the customizers of what is exported.
    customizers = getattr(background_logger, "_export_customizers", ())
    return any(type(customizer).__name__ == "_MaskingCustomizer" for customizer in customizers)
