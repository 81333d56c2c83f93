"""Whether the application masks what it logs, and so what must not get past its masking function."""

from typing import Any

from braintrust import logger


def is_masking() -> bool:
    """Tell whether a masking function is set, by `braintrust.set_masking_function`.

    It sees input, output, metadata and the like, once a span is logged, and neither `error` nor attachments.
    """
    background_logger: Any = logger._state.global_bg_logger()  # pyright: ignore[reportPrivateUsage]
    if getattr(background_logger, "masking_function", None) is not None:
        return True
    # From 0.47 on it is the last of the customizers of what is exported.
    customizers = getattr(background_logger, "_export_customizers", ())
    return any(type(customizer).__name__ == "_MaskingCustomizer" for customizer in customizers)
