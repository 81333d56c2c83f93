"""Both local services until Ctrl-C: `python -m braintrust_mistral.local`."""

import argparse
import os
import secrets
import shlex
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

from braintrust_mistral.local import explain_missing


_Service = TypeVar("_Service")


def main() -> int:
    """Start both services, say where they are and what they know, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m braintrust_mistral.local", description=__doc__)
    parser.add_argument("--mistral-port", type=int, default=8701, help="default: %(default)s; 0 takes a free port")
    parser.add_argument("--braintrust-port", type=int, default=8702, help="default: %(default)s; 0 takes a free port")
    parser.add_argument("--pace", type=float, default=1.0, help="multiplies Mistral's delays (default: %(default)s)")
    options = parser.parse_args()
    if missing := explain_missing():
        parser.exit(2, f"{missing}\n")
    from braintrust_mistral.local import LocalBraintrust, LocalMistral
    from braintrust_mistral.local.mistral.catalogue import described

    api_key = secrets.token_urlsafe(24)
    mistral = _at(options.mistral_port, "--mistral-port", lambda port: LocalMistral(pace=options.pace, port=port))
    bt = _at(options.braintrust_port, "--braintrust-port", lambda port: LocalBraintrust(port=port, api_key=api_key))
    with mistral, bt:
        print(f"Mistral     {mistral.url}   Mistral(api_key='local', server_url='{mistral.url}')")
        print(f"Braintrust  {bt.page_url}\n")
        print("Environment of an application that logs here:")
        for name, value in bt.environment().items():
            print(f"  export {name}={shlex.quote(value)}")
        print(f"\n{described()}\n\nCtrl-C stops both.", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()
    return 0


def _at(port: int, option: str, make: Callable[[int], _Service]) -> _Service:
    try:
        return make(port)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        advice = f"It may be that these services run already; {option} 0 takes a free one."
        print(f"Port {port} of 127.0.0.1 cannot be had: {reason}. {advice}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    sys.exit(main())
