"""Wait until HTTP endpoints inside the lab's network answer 200.

`python -m baseload.lab.probe --timeout SECONDS [--ca F --cert F --key F] NAME=URL...` prints each name when its URL
first answers and ends with 0, or prints what is missing and ends with 1. It is a process of its own because the
endpoints can be reached only from inside the lab's network namespace.
"""

import argparse
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence

_ATTEMPT_SECONDS = 2.0
_PAUSE_SECONDS = 0.05


def main(arguments: Sequence[str] | None = None) -> int:
    """Wait for every endpoint named on the command line; the exit code says whether all answered in time."""
    options = _parser().parse_args(arguments)
    context = ssl.create_default_context(cafile=options.ca) if options.ca else None
    if context is not None and options.cert:
        context.load_cert_chain(options.cert, options.key)
    waiting = dict(endpoint.split("=", 1) for endpoint in options.endpoints)
    answers: dict[str, str] = {}
    deadline = time.monotonic() + options.timeout
    while waiting and time.monotonic() < deadline:
        for name, url in list(waiting.items()):
            answers[name] = _answer(url, context)
            if answers[name] == "200":
                del waiting[name]
                sys.stdout.write(f"{name}\n")
                sys.stdout.flush()
        if waiting:
            time.sleep(_PAUSE_SECONDS)
    for name, url in waiting.items():
        sys.stderr.write(f"{name}: {url} gave {answers.get(name, 'no answer')}\n")
    return 1 if waiting else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="baseload.lab.probe", description="Wait until endpoints answer 200.")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds to wait for all of them")
    parser.add_argument("--ca", help="certificate authority file for https")
    parser.add_argument("--cert", help="client certificate file")
    parser.add_argument("--key", help="client key file")
    parser.add_argument("endpoints", nargs="+", metavar="NAME=URL")
    return parser


def _answer(url: str, context: ssl.SSLContext | None) -> str:
    """Return the HTTP status of one GET, or the reason why there was none."""
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        *([urllib.request.HTTPSHandler(context=context)] if context is not None else []),
    )
    try:
        with opener.open(url, timeout=_ATTEMPT_SECONDS) as response:
            return str(response.status)
    except urllib.error.HTTPError as error:
        return str(error.code)
    except (OSError, ValueError) as error:
        return str(error)


if __name__ == "__main__":
    sys.exit(main())
