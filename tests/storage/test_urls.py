"""No password of a URL is ever shown, however the URL is written."""

import pytest

from storage.urls import without_password, without_passwords


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:pw@nas:6379/0", "redis://:***@nas:6379/0"),
        ("rediss://me:pw@nas/0", "rediss://me:***@nas/0"),
        ("redis://pw@nas", "redis://***@nas"),
        ("redis://nas/0?password=pw", "redis://nas/0?***"),
        ("redis://nas/0?db=1&pass%77ord=pw", "redis://nas/0?***"),
        ("redis://nas/0?password=pw@pw", "redis://***?***"),
        ("redis://:p@w/p#w@nas:6379", "redis://:***@nas:6379"),
        ("redis://:pw?pw@nas:6379", "redis://***?***"),
        ("redis+socket:///run/a@b/redis.sock", "redis+socket:///run/a@b/redis.sock"),
        ("redis+socket://:pw@/run/redis.sock?virtual_host=1", "redis+socket://:***@/run/redis.sock?***"),
        ("redis+socket:///run/redis.sock?password=pw@", "redis+socket://***?***"),
        ("unix://me:pw@/run/redis.sock", "unix://me:***@/run/redis.sock"),
        ("redis://:pw@a;redis://:pw@b", "redis://:***@b"),
        (":pw@nas:6379", ":***@nas:6379"),
        ("nas:6379", "nas:6379"),
        ("postgresql+psycopg://me:pw@db/mend?sslpassword=pw", "postgresql+psycopg://me:***@db/mend?***"),
        ("postgresql:///mend?host=/run&password=pw", "postgresql:///mend?***"),
        ("sqlite:////home/me@home/jobs.db", "sqlite:////home/me@home/jobs.db"),
        ("https://pw@nas.example/weights", "https://***@nas.example/weights"),
    ],
)  # fmt: skip
def test_a_url_is_shown_without_its_password(url, shown):
    assert without_password(url) == shown
    assert "pw" not in shown


def test_the_urls_in_a_text_are_shown_without_their_passwords():
    text = "Error 111 connecting to 'redis://:pw@a:1/0', then rediss://me:p@w/p#w@b; see http://a/b?c, redis://d/0?password=pw."
    shown = "Error 111 connecting to 'redis://:***@a:1/0', then rediss://me:***@b; see http://a/b?c, redis://d/0?***"
    assert without_passwords(text) == shown


def test_a_long_word_is_searched_for_urls_once():
    """A hostile photo or server may make the text; each letter is read some twenty times."""
    word = "a" * 2_000_000
    assert without_passwords(word) == word
