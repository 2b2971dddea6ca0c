"""Compact etcd up to now, so that watches from older resource versions end with 410.

`python -m baseload.lab.compaction --url URL --ca F --cert F --key F` prints the revision. It is a process of its own
because etcd can be reached only from inside the lab's network namespace.
"""

import argparse
import json
import ssl
import sys
import urllib.request
from collections.abc import Sequence
from typing import Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Compact at the present revision through etcd's JSON gateway."""
    parser = argparse.ArgumentParser(prog="baseload.lab.compaction", description="Compact etcd up to now.")
    for option in ("--url", "--ca", "--cert", "--key"):
        parser.add_argument(option, required=True)
    options = parser.parse_args(arguments)
    context = ssl.create_default_context(cafile=options.ca)
    context.load_cert_chain(options.cert, options.key)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    # etcd needs a key to read; which one does not matter, every answer's header carries the store's revision.
    answer = _post(opener, f"{options.url}/v3/kv/range", {"key": "Lw=="})
    revision = answer["header"]["revision"]
    _post(opener, f"{options.url}/v3/kv/compaction", {"revision": revision, "physical": True})
    sys.stdout.write(f"{revision}\n")
    return 0


def _post(opener: urllib.request.OpenerDirector, url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 (the scheme is the lab's own https)
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    with opener.open(request, timeout=10) as response:
        content: dict[str, Any] = json.load(response)
        return content


if __name__ == "__main__":
    sys.exit(main())
