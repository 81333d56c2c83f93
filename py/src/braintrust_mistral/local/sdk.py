"""What the local Braintrust asks of the SDK beyond its public functions: to send here, and to forget that it did.

Only the SDK's state knows where it is logged in, and it keeps its first login for good.
"""

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from weakref import WeakSet

from braintrust_mistral.local.braintrust.store import TraceStore
from braintrust_mistral.local.json_types import Json


_logger = logging.getLogger(__name__)

ORGANIZATION = "local"
LONGEST_FLUSH = 2.0
"""How long a process that leaves by `os._exit` is held up at most, in seconds."""

# The projects and experiments of captures that are over, the stores that still take what comes late of them, and how
# many captures are under way.
_captured: set[str] = set()
_stores: WeakSet[TraceStore] = WeakSet()
_captures = 0


def send_to(url: str, api_key: str) -> None:
    """Have all that the SDK sends from this process go to the local Braintrust at `url`, whatever the program says.

    A key, an address or an organization that the program names, in its code or its environment, is as good as ours.
    """
    from braintrust import logger

    state: Any = logger._state  # pyright: ignore[reportPrivateUsage]
    logger.set_http_adapter(_adapter_to(url, api_key))
    login = type(state).login

    def log_in(*_: object, force_login: bool = False, **__: object) -> None:
        login(state, app_url=url, api_key=api_key, org_name=ORGANIZATION, force_login=force_login)

    state.login = log_in


def outlive_forks(url: str, api_key: str) -> None:
    """Have what forked processes log arrive too: they send it on their own, the rest of it when they exit.

    The SDK's thread and connections are its process's, and multiprocessing leaves by `os._exit`, which runs no exit
    handlers.
    """

    def renew() -> None:
        from braintrust import logger

        sdk: Any = logger
        state = sdk._state
        before = state._global_bg_logger.get()
        # The threads stayed behind, with what they held; what waits is sent by the process that logged it.
        atexit.unregister(before._finalize)
        sdk.HTTP_REQUEST_THREAD_POOL = ThreadPoolExecutor(os.cpu_count())
        state._client_lock = threading.RLock()
        state._global_bg_logger = _background(sdk, state)
        for name in ("_export_customizers", "masking_function"):
            if hasattr(before, name):
                setattr(state._global_bg_logger.get(), name, getattr(before, name))
        state.reset_login_info()
        send_to(url, api_key)

    def leave(status: int) -> None:
        from braintrust import flush

        # The server may be gone, and a lock be held by a thread that the fork has left behind.
        flushing = threading.Thread(target=flush, daemon=True)
        flushing.start()
        flushing.join(LONGEST_FLUSH)
        leave_now(status)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)
    leave_now = os._exit
    os._exit = leave


@contextmanager
def sending_to(url: str, api_key: str) -> Generator[None, None, None]:
    """Have all that the SDK sends go to a local Braintrust for a while, and then where it went before."""
    global _captures  # noqa: PLW0603
    from braintrust import logger

    sdk: Any = logger
    state = sdk._state
    background = state._global_bg_logger.get()
    try:
        # What was logged before belongs to where that went.
        background.flush()
    except Exception:
        _logger.warning("What was logged before cannot be sent", exc_info=True)
    adapter, api_conn, login = sdk._http_adapter, background.api_conn, vars(state).get("login")
    before = dict(vars(state))
    _log_out(sdk)
    known = {name: before[name] for name, value in vars(state).items() if before[name] is not value}
    send_to(url, api_key)
    _captures += 1
    try:
        yield
    finally:
        background.flush()
        _captures -= 1
        _log_out(sdk)
        del state.login
        vars(state).update(known if login is None else {**known, "login": login})
        sdk._http_adapter, background.api_conn = adapter, api_conn


def keep_apart(object_ids: Iterable[str], store: TraceStore) -> None:
    """Have what is logged late of these projects and experiments end in this store, whose server is gone by then.

    A stream that is closed after its capture is such a case. The Braintrust that the SDK sends to knows nothing of
    them, and would refuse whatever comes with them. Of what comes late only the metrics are kept, since nothing has
    masked it.
    """
    from braintrust import logger

    state: Any = logger._state  # pyright: ignore[reportPrivateUsage]
    _captured.update(object_ids)
    _stores.add(store)
    queue = state._global_bg_logger.get().queue
    if "drain_all" not in vars(queue):
        queue.drain_all = _without_captured(queue.drain_all)


def _without_captured(drain_all: Callable[[], list[Any]]) -> Callable[[], list[Any]]:
    def drain_others() -> list[Any]:
        items = drain_all()
        return items if _captures else [item for item in items if not _is_captured(item)]

    return drain_others


def _is_captured(item: Any) -> bool:
    try:
        row: Json = item.get()
    except Exception:
        # Whoever sends it meets the same.
        return False
    if _captured.isdisjoint((row.get("project_id"), row.get("experiment_id"))):
        return False
    late = {"id": row["id"], "root_span_id": row.get("root_span_id"), "metrics": row.get("metrics"), "_is_merge": True}
    for store in list(_stores):
        store.add_to_known(late)
    return True


def forget_login(url: str) -> None:
    """Log the SDK out if it is loaded and sends to this address: its next use logs in anew, by the environment."""
    sdk: Any = sys.modules.get("braintrust.logger")
    if sdk is not None and sdk._state.api_url == url:
        _log_out(sdk)


def _log_out(sdk: Any) -> None:
    state = sdk._state
    background = state._global_bg_logger.get()
    state.reset_login_info()
    background.api_conn = _connection(state)
    # What the server told it about its limits.
    background._max_request_size_result = None


def _background(sdk: Any, state: Any) -> Any:
    from braintrust.util import LazyValue

    return LazyValue(lambda: sdk._HTTPBackgroundLogger(_connection(state)), use_mutex=True)


def _connection(state: Any) -> Any:
    from braintrust.util import LazyValue

    def connect() -> Any:
        state.login()
        return state.api_conn()

    return LazyValue(connect, use_mutex=True)


def _adapter_to(url: str, api_key: str) -> Any:
    from braintrust.logger import RetryRequestExceptionsAdapter

    there = urlsplit(url)

    class Adapter(RetryRequestExceptionsAdapter):
        """Sends each request to one server, by no proxy, with its key in the place of another."""

        def send(self, request: Any, *args: Any, proxies: Mapping[str, str] | None = None, **kwargs: Any) -> Any:
            """Send a request, and return its response."""
            request.url = urlunsplit(urlsplit(request.url)._replace(scheme=there.scheme, netloc=there.netloc))
            if "Authorization" in request.headers:
                request.headers["Authorization"] = f"Bearer {api_key}"
            return super().send(request, *args, **kwargs)

    return Adapter(base_num_retries=2, backoff_factor=0.1)
