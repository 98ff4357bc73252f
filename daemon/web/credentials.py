"""The password of the page and the tokens of scripts: only hashes are kept, in files of the owner."""

import hashlib
import hmac
import json
import secrets
import time
from pathlib import Path
from threading import Lock

from storage import atomic_files, private_files

LEAST_LETTERS = 8
"""Letters of the shortest password that is taken."""
TOKEN_PREFIX = "photomend_"
"""Begins each token, so that programs which look for secrets find one that was published."""

_FILE_MODE = 0o600
_hashing = Lock()


class Credentials:
    """The files `web/` in the state folder."""

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / "web"

    @property
    def has_password(self) -> bool:
        """Whether a password is set."""
        return (self.folder / "password").exists()

    def set_password(self, password: str) -> None:
        """Set the password; all sessions end, and tokens stay."""
        import argon2

        self._write("password", argon2.PasswordHasher().hash(password).encode())
        self._write("secret", secrets.token_bytes(32))

    def remove_password(self) -> bool:
        """Remove the password; return whether there was one. All sessions end."""
        had = self.has_password
        (self.folder / "password").unlink(missing_ok=True)
        self._write("secret", secrets.token_bytes(32))
        return had

    def matches(self, password: str) -> bool:
        """Return whether this is the password; one is compared at a time, as each needs 64 MB."""
        import argon2

        try:
            with _hashing:
                stored = (self.folder / "password").read_text()
                return argon2.PasswordHasher().verify(stored, password)
        except (FileNotFoundError, argon2.exceptions.Argon2Error, argon2.exceptions.InvalidHash):
            return False

    @property
    def secret(self) -> bytes:
        """The key of sessions and form tokens; a new password makes a new one."""
        file = self.folder / "secret"
        if not file.exists():
            self._write("secret", secrets.token_bytes(32))
        return file.read_bytes()

    def add_token(self, name: str) -> str:
        """Return a new token for a script, which is not shown again; one of that name is replaced."""
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        row: dict[str, str | int] = {
            "name": name,
            "sha256": _hash(token),
            "created_at": int(time.time()),
        }
        self._write_tokens([*(t for t in self.tokens() if t["name"] != name), row])
        return token

    def revoke_token(self, name: str) -> bool:
        """Remove a token; return whether there was one."""
        kept = [token for token in self.tokens() if token["name"] != name]
        had = len(kept) < len(self.tokens())
        self._write_tokens(kept)
        return had

    def tokens(self) -> list[dict[str, str | int]]:
        """Return the tokens: name, hash and time."""
        try:
            found = json.loads((self.folder / "tokens.json").read_text())
        except (FileNotFoundError, ValueError):
            return []
        return found if isinstance(found, list) else []

    def is_token(self, token: str) -> bool:
        """Return whether a script may use this token."""
        wanted = _hash(token)
        return any(hmac.compare_digest(str(row["sha256"]), wanted) for row in self.tokens())

    def _write_tokens(self, tokens: list[dict[str, str | int]]) -> None:
        self._write("tokens.json", json.dumps(tokens, indent=1).encode())

    def _write(self, name: str, content: bytes) -> None:
        private_files.make_folder(self.folder)
        atomic_files.write(self.folder / name, content, _FILE_MODE)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()
