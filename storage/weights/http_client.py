"""Send a GET request to a server that is not trusted.

The request goes through the transport adapter of requests and not through a session. A session
sends the passwords of .netrc and the cookies of earlier answers, decodes bodies, and reads the body
of a redirect into memory, however large.
"""

import ssl
from collections.abc import Mapping
from http import client
from urllib.parse import urljoin, urlsplit

from requests import Request, RequestException, Response
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.exceptions import HTTPError

from storage.errors import PhotomendError

FAILURES = (RequestException, HTTPError, ValueError)
"""Errors of a request, and of reading its answer."""
HEADERS = {"User-Agent": "photomend", "Accept-Encoding": "identity"}
MAX_REDIRECTS = 10
MAX_REASON_LENGTH = 200
"""Characters of an error that a server may have worded."""
_EXPECTED = (200, 206, 416)
_WITHDRAWN = (401, 403, 404, 410)
"""Statuses of a file that was removed, or that is only for users with a login."""
_TEMPORARY = (408, 425, 429)
"""Statuses below 500 after which the same request may succeed."""


class Refused(PhotomendError):
    """The origin does not have the file; another request does not help."""


class Withdrawn(Refused):
    """The origin does not offer the file, or not without a login."""


class Unavailable(PhotomendError):
    """The origin does not answer, or stopped sending; another request may help."""


def get(
    adapter: HTTPAdapter, url: str, headers: Mapping[str, str], timeout_seconds: float
) -> Response:
    """Send a request, follow redirects, and return the answer with its body unread.

    Its status is 200, 206 or 416. The proxy of the environment is used.

    Raises:
        Refused: the answer has another status, or a redirect is unsafe.
        Unavailable: there is no answer, or the server asks to come back later.

    """
    for _ in range(MAX_REDIRECTS + 1):
        try:
            answer = adapter.send(
                Request("GET", url, headers={**HEADERS, **headers}).prepare(),
                stream=True, timeout=timeout_seconds, verify=_certificates(),
                proxies=get_environ_proxies(url),
            )  # fmt: skip
            if answer.status_code in _EXPECTED:
                return answer
            answer.close()
            url = _redirect_target(url, answer)
        except FAILURES as error:
            raise failure("does not answer", error) from error
    raise Refused(f"redirects more than {MAX_REDIRECTS} times")


def failure(predicate: str, error: Exception) -> Refused | Unavailable:
    """Return what to raise for a failed request: a predicate and the cause."""
    causes: list[BaseException] = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Refused(f"shows no valid certificate ({cause.verify_message})")
        if isinstance(cause, TimeoutError):
            return Unavailable(f"{predicate} (it was silent)")
    root = causes[-1]
    words = str(getattr(root, "strerror", None) or root or type(root).__name__)
    words = words.lower()[:MAX_REASON_LENGTH]
    if isinstance(error, ValueError):
        return Refused(f"has an address that is not valid ({words})")
    return Unavailable(f"{predicate} ({words})")


def _redirect_target(url: str, answer: Response) -> str:
    status = answer.status_code
    if not answer.is_redirect:
        raise _kind(status)(f"answers {status} {client.responses.get(status, '')}".strip())
    target = urljoin(url, answer.headers["Location"])
    scheme = urlsplit(target).scheme
    if scheme != "https" and (scheme, urlsplit(url).scheme) != ("http", "http"):
        host = urlsplit(target).hostname or "a file"
        raise Refused(f"redirects to {host[:100]} by {scheme[:20]}, which is not safe")
    return target


def _kind(status: int) -> type[Refused | Unavailable]:
    if status in _WITHDRAWN:
        return Withdrawn
    return Unavailable if status in _TEMPORARY or status >= 500 else Refused


def _certificates() -> str | bool:
    """Return the system's certificates, or True for those of certifi if it has none."""
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath or True
