"""Where Redis is: one reading of `redis_url`, from which Celery and our own client connect."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

KEY_PREFIX = "photomend."
"""The start of the names of all our keys: other programs may use the same Redis."""
DEFAULT_PORTS = {"redis": 6379, "rediss": 6379, "sentinel": 26379}
SOCKETS = ("redis+socket", "unix")
"""Schemes of a unix socket: Celery's word and that of redis-py."""
EXAMPLES = (
    "redis://name:password@host:6379/0, rediss://… (TLS), "
    "redis+socket://:password@/run/redis.sock?virtual_host=0 or "
    "sentinel://:password@host:26379,host2:26379/0?master_name=mymaster"
)


@dataclass(frozen=True)
class RedisAddress:
    """A Redis, or the sentinels that know it."""

    scheme: str
    """redis, rediss (TLS), redis+socket or sentinel."""
    hosts: tuple[tuple[str, int], ...]
    """Names and ports; none for a socket."""
    socket: str
    """Path of the unix socket; "" if there is none."""
    database: int
    username: str | None
    password: str | None
    master: str
    """The name under which sentinels know the Redis; "" without sentinels."""
    sentinel_login: tuple[tuple[str, str], ...]
    """Username and password of the sentinels themselves, as far as they have them."""
    query: tuple[tuple[str, str], ...]
    """Further options, such as ssl_ca_certs."""

    @property
    def broker(self) -> str:
        """The URL for Celery; redis-py reads it, too, unless it is a socket or sentinels."""
        user = quote(self.username or "", safe="")
        login = f"{user}:{quote(self.password, safe='')}@" if self.password is not None else ""
        if self.socket:
            query = urlencode([("virtual_host", str(self.database)), *self.query])
            return f"redis+socket://{login}{quote(self.socket)}?{query}"
        query = f"?{urlencode(self.query)}" if self.query else ""
        return ";".join(
            f"{self.scheme}://{login}{_bracketed(host)}:{port}/{self.database}{query}"
            for host, port in self.hosts
        )


def parse(url: str) -> RedisAddress:
    """Read a URL of the setting `redis_url`.

    Raises:
        ValueError: it is none. The message may hold a password.

    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    by_socket = parts.scheme in SOCKETS
    if not by_socket and parts.scheme not in DEFAULT_PORTS:
        raise ValueError(f"unknown scheme {parts.scheme}")
    if "@" in f"{parts.path}{parts.query}{parts.fragment}" and not by_socket:
        raise ValueError("an @ that is not quoted")
    if "password" in query or parts.fragment:
        raise ValueError("a password or a # in the wrong place")
    login, _, places = parts.netloc.rpartition("@")
    username, colon, password = login.partition(":")
    hosts = () if by_socket else _hosts(parts.scheme, places)
    if by_socket and (places or not parts.path.strip("/")):
        raise ValueError("a socket has a path and no host")
    if parts.scheme == "rediss":
        query.setdefault("ssl_cert_reqs", "required")  # Celery alone would accept any certificate
    master = query.pop("master_name", "")
    if bool(master) != (parts.scheme == "sentinel"):
        raise ValueError("sentinels, and only they, need master_name")
    own = {word: query.pop(f"sentinel_{word}", "") for word in ("username", "password")}
    if any(own.values()) and not master:
        raise ValueError("only sentinels have sentinel_password")
    database = query.pop("virtual_host", "") or query.pop("db", "")
    return RedisAddress(
        scheme="redis+socket" if by_socket else parts.scheme,
        hosts=hosts, socket=unquote(parts.path) if by_socket else "",
        database=int(database or ("0" if by_socket else parts.path.strip("/") or "0")),
        username=unquote(username) or None, password=unquote(password) if colon else None,
        master=master, sentinel_login=tuple((k, v) for k, v in own.items() if v),
        query=tuple(query.items()),
    )  # fmt: skip


def _hosts(scheme: str, places: str) -> tuple[tuple[str, int], ...]:
    """Return the hosts and ports; only sentinels may be several, joined by commas."""
    named = places.split(",")
    if len(named) > 1 and scheme != "sentinel":
        raise ValueError("several hosts")
    found = [urlsplit(f"//{place}") for place in named]
    if any(part.port == 0 for part in found):
        raise ValueError("port 0")
    return tuple((p.hostname or "localhost", p.port or DEFAULT_PORTS[scheme]) for p in found)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
