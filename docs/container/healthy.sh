#!/bin/sh
# Ask the page of photomend whether it works; its answer does not depend on a share.
exec python3 - <<'PROGRAM'
import urllib.error
import urllib.request

try:
    with urllib.request.urlopen("http://127.0.0.1:8484/health", timeout=10) as answer:
        print(answer.read(2000).decode())
except urllib.error.HTTPError as error:
    raise SystemExit(error.read(2000).decode())
except OSError as error:
    raise SystemExit(f"the page does not answer: {error}")
PROGRAM
