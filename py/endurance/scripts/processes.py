"""Applications that fork, exit, are interrupted or die under open calls, by name.

They print a line when they are about to do what they are here for, and leave the rest to who started them.
"""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import braintrust


braintrust.auto_instrument()

try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral  # 1.x

MODEL = "long-stream-3000"
KEPT: list[Any] = []


def conversations() -> Any:
    """Return the conversations of a client of the local Mistral, which stays."""
    client = Mistral(api_key="local", server_url=os.environ["LOCAL_MISTRAL_URL"])
    KEPT.append(client)
    return client.beta.conversations


def ready() -> None:
    """Tell that the process is where it should be."""
    print("ready", flush=True)


def begun_stream(model: str = MODEL) -> Any:
    """Return a stream of which two events were read."""
    stream = conversations().start_stream(model=model, inputs="sync")
    for _ in range(2):
        next(stream)
    return stream


async def begun_async_stream(model: str = MODEL) -> Any:
    """Return a stream of which two events were read."""
    stream = await conversations().start_stream_async(model=model, inputs="async")
    for _ in range(2):
        await anext(stream)
    return stream


def call_slowly() -> None:
    """Wait for an answer that takes long."""
    ready()
    conversations().start(model="slow", inputs="sync")


def read_slowly() -> None:
    """Read a stream that takes long."""
    with begun_stream() as stream:
        ready()
        for _ in stream:
            pass


async def call_slowly_async() -> None:
    """Wait for an answer that takes long."""
    ready()
    await conversations().start_async(model="slow", inputs="async")


async def read_slowly_async() -> None:
    """Read a stream that takes long."""
    async with await begun_async_stream() as stream:
        ready()
        async for _ in stream:
            pass


def interrupted(work: Callable[[], None]) -> None:
    """Work until an interrupt or a signal to terminate, and exit with a status that tells."""

    def terminate(*_: Any) -> None:
        sys.exit(7)

    signal.signal(signal.SIGTERM, terminate)
    try:
        work()
    except KeyboardInterrupt:
        sys.exit(3)


def exit_with_open_streams() -> None:
    """End with streams that are open: of this thread, of a loop that is closed, of threads that have ended or not."""
    KEPT.append(begun_stream())
    KEPT.append(asyncio.run(begun_async_stream()))
    ended = threading.Thread(target=lambda: KEPT.append(begun_stream()))
    ended.start()
    ended.join()
    begun = threading.Event()

    def read_for_ever() -> None:
        stream = begun_stream()
        begun.set()
        # The SDK closes its clients when the interpreter exits, and whoever still uses one hears of it.
        with contextlib.suppress(Exception):
            for _ in stream:
                pass

    threading.Thread(target=read_for_ever, daemon=True).start()
    begun.wait()
    ready()


def exit_under_busy_threads() -> None:
    """End while threads that nobody waits for open streams, read them and leave them."""
    begun = threading.Barrier(9)

    def work() -> None:
        begin = conversations().start_stream
        streams = [begin(model="plain", inputs="busy") for _ in range(3)]
        begun.wait()
        with contextlib.suppress(Exception):
            while True:
                streams.append(begin(model="plain", inputs="busy"))
                next(streams.pop(0))

    for _ in range(8):
        threading.Thread(target=work, daemon=True).start()
    begun.wait()
    ready()


def close_loops() -> None:
    """Close event loops under streams: held, dropped, and being read by a task that is never waited for."""

    async def begin_reading() -> None:
        stream = await begun_async_stream("plain")

        async def read() -> None:
            async for _ in stream:
                await asyncio.sleep(3600)

        KEPT.append(asyncio.ensure_future(read()))
        await asyncio.sleep(0)

    # `asyncio.run` cancels what is left; a loop that is merely closed does not.
    asyncio.run(begin_reading())
    loop = asyncio.new_event_loop()
    KEPT.append(loop.run_until_complete(begun_async_stream("plain")))
    dropped = loop.run_until_complete(begun_async_stream("plain"))
    loop.close()
    del dropped
    gc.collect()
    ready()


def close_loops_of_runs() -> None:
    """Close event loops under streamed runs: held and dropped."""
    from mistralai.extra.run.context import RunContext

    async def begin() -> Any:
        stream = await conversations().run_stream_async(run_ctx=RunContext(model="plain"), inputs="run")
        await anext(stream)
        return stream

    KEPT.append(asyncio.run(begin()))
    loop = asyncio.new_event_loop()
    dropped = loop.run_until_complete(begin())
    loop.close()
    del dropped
    gc.collect()
    ready()


def die() -> None:
    """Die at once, with a stream that is open and another that was read, which is all that was sent."""
    KEPT.append(begun_stream())
    for _ in conversations().start_stream(model="plain", inputs="read"):
        pass
    braintrust.flush()
    ready()
    os._exit(5)


def fork() -> None:
    """Fork workers, as gunicorn does, while a stream is open and a function call waits for its result.

    A worker drops the parent's stream, closes another one, makes calls of its own, one of which brings the result, and
    exits with a stream that is open. The parent reads its own to the end.
    """
    first = conversations().start(model="function-call", inputs="parent")
    stream, other = begun_stream("plain"), begun_stream("plain")
    dropped = begun_stream("plain")
    # What was not sent by now, the SDK would send from every process.
    braintrust.flush()
    for worker in range(2):
        pid = os.fork()
        if pid == 0:
            del dropped
            gc.collect()
            with other:
                pass
            own = conversations()
            if worker == 0:
                result = {"tool_call_id": first.outputs[0].tool_call_id, "result": "11.20"}
                own.append(conversation_id=first.conversation_id, inputs=[{"type": "function.result", **result}])
            for _ in own.start_stream(model="plain", inputs="worker"):
                pass
            begun_stream("plain")
            KEPT.append(begun_stream("plain"))
            return
        # One after the other: they share the SDK's connection.
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
    for open_stream in (stream, other):
        for _ in open_stream:
            pass
    ready()


APPLICATIONS: dict[str, Callable[[], Any]] = {
    "call": call_slowly,
    "stream": read_slowly,
    "async call": lambda: asyncio.run(call_slowly_async()),
    "async stream": lambda: asyncio.run(read_slowly_async()),
    "handled call": lambda: interrupted(call_slowly),
    "handled stream": lambda: interrupted(read_slowly),
    "handled async call": lambda: interrupted(lambda: asyncio.run(call_slowly_async())),
    "handled async stream": lambda: interrupted(lambda: asyncio.run(read_slowly_async())),
    "exit with open streams": exit_with_open_streams,
    "exit under busy threads": exit_under_busy_threads,
    "close loops": close_loops,
    "close loops of runs": close_loops_of_runs,
    "die": die,
    "fork": fork,
}


def main() -> None:
    """Run the application that the command line names."""
    # A shell has what it starts in the background ignore this one, and Python leaves that as it is.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    braintrust.init_logger(project="processes")
    APPLICATIONS[sys.argv[1]]()
