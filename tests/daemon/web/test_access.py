"""Who may see the page, and who may change something."""

import logging
import stat
import time

import pytest
from starlette.routing import Route

from daemon.web import app, attempts, hosts, sessions
from daemon.web.credentials import Credentials
from storage.settings import settings
from storage.settings_web import WebSettings

SCREENS = ["/", "/review", "/problems", "/settings", "/api", "/api/v1/status", "/api/v1/jobs"]


@pytest.fixture
def credentials(home):
    return Credentials(settings().state_dir)


@pytest.mark.parametrize("path", SCREENS)
def test_a_browser_on_this_machine_sees_each_screen_without_a_password(page, path):
    assert page.get(path).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:8484", "192.0.2.7", ""])
def test_another_name_of_this_machine_is_refused(page, host, caplog):
    answer = page.get("/", headers={"Host": host})
    assert answer.status_code == 403
    assert "photomend" in answer.text
    assert "refused" in caplog.text


@pytest.mark.parametrize("host", ["localhost:8484", "127.0.0.1", "[::1]:8484", "LOCALHOST"])
def test_the_names_of_the_loopback_are_known(page, host):
    assert page.get("/", headers={"Host": host}).status_code == 200


def test_names_of_the_settings_are_known(browse):
    page = browse('{"hosts": ["photos.example.org"]}')
    assert page.get("/", headers={"Host": "photos.example.org"}).status_code == 200


def test_a_page_on_the_network_knows_addresses_and_its_own_name():
    known = WebSettings(address="0.0.0.0:8484")
    assert hosts.refusal(known, "GET", {"host": "192.0.2.7:8484"}, "http") is None
    assert hosts.refusal(known, "GET", {"host": "evil.example"}, "http") is not None


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"}, {"Origin": "http://localhost:3000"}, {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://127.0.0.1:8484", "Sec-Fetch-Site": "cross-site"},
    ],
)  # fmt: skip
def test_a_form_of_another_site_changes_nothing(page, headers, jobs, token_of):
    data = {"token": token_of(page), "scope": "all"}
    assert page.post("/pause", data=data, headers=headers).status_code == 403
    assert "Resume" not in page.get("/").text


def test_a_form_of_the_page_itself_is_taken(page, token_of):
    data = {"token": token_of(page), "scope": "all"}
    headers = {"Origin": "http://127.0.0.1:8484", "Sec-Fetch-Site": "same-origin"}
    assert page.post("/pause", data=data, headers=headers).status_code == 303
    assert "Resume" in page.get("/").text


def changing():
    return [
        route.path.replace("{word}", "keep")
        for route in app.routes()
        if isinstance(route, Route) and "POST" in (route.methods or ())
    ]


def test_each_change_is_known():
    assert len(changing()) >= 10


@pytest.mark.parametrize("path", changing())
@pytest.mark.parametrize("token", ["", "0" * 64])
def test_no_change_is_made_without_its_token(page, path, token, caplog):
    page.get("/")
    answer = page.post(path, data={"token": token, "ids": "1", "scope": "all", "kind": "error"})
    assert answer.status_code == 403
    assert "wrong token" in caplog.text


@pytest.mark.parametrize("path", changing())
def test_a_change_is_a_post(page, path):
    if path != "/login":
        assert page.get(path).status_code in (404, 405)


def test_the_token_of_another_browser_is_wrong(browse, token_of):
    mine, theirs = browse(), browse()
    answer = mine.post("/pause", data={"token": token_of(theirs), "scope": "all"})
    assert answer.status_code == 403


@pytest.mark.parametrize("path", [*SCREENS, "/static/page.css", "/nothing"])
def test_no_page_may_run_foreign_or_inline_scripts(page, path):
    answer = page.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "<script>" not in answer.text
    assert " style=" not in answer.text
    assert "://" not in answer.text.replace("http://www.w3.org", "") or path.startswith("/api")


def test_the_cookie_is_for_this_site_and_no_script_reads_it(page):
    cookie = page.get("/").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_the_cookie_of_a_page_with_tls_never_goes_out_without_it(page):
    assert "Secure" not in page.get("/").headers["Set-Cookie"]
    page.cookies.clear()
    assert "Secure" in page.get("https://127.0.0.1:8484/").headers["Set-Cookie"]


def test_a_session_ends():
    for seconds, lasts in ((10, True), (-1, False)):
        session = sessions.Session("name", logged_in=True, ends_at=int(time.time()) + seconds)
        found = sessions.from_cookie(sessions.to_cookie(session, b"secret"), b"secret")
        assert (found == session) is lasts


def test_what_is_refused_has_the_headers_of_a_page(page, credentials):
    refused = page.get("/", headers={"Host": "evil.example"})
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    arrived = page.get("/", headers=link)
    credentials.set_password("correct horse")
    to_login = page.get("/")
    assert [a.status_code for a in (refused, arrived, to_login)] == [403, 200, 303]
    for answer in (refused, arrived, to_login):
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"


def test_with_a_password_nothing_is_shown_without_it(page, credentials):
    credentials.set_password("correct horse")
    for path in SCREENS:
        answer = page.get(path)
        assert answer.status_code == (401 if path.startswith("/api/v1") else 303), path
    assert page.get("/pictures/1/before.webp").status_code == 303
    assert page.get("/login").status_code == 200


def test_the_right_password_opens_the_page_and_logging_out_closes_it(page, credentials, post):
    credentials.set_password("correct horse")
    assert post(page, "/login", password="correct horse").status_code == 303
    assert page.get("/").status_code == 200
    assert post(page, "/logout").status_code == 303
    assert page.get("/").status_code == 303


def test_a_new_password_ends_all_sessions(page, credentials, post):
    credentials.set_password("correct horse")
    post(page, "/login", password="correct horse")
    credentials.set_password("battery staple")
    assert page.get("/").status_code == 303


def test_a_cookie_that_we_did_not_sign_is_none(page, credentials):
    credentials.set_password("correct horse")
    forged = page.get("/login").headers["Set-Cookie"].partition(";")[0].replace(".0.", ".1.")
    page.cookies.clear()
    assert page.get("/", headers={"Cookie": forged}).status_code == 303


def test_a_password_that_is_guessed_is_refused_and_logged(page, credentials, caplog, post):
    caplog.set_level(logging.INFO)
    credentials.set_password("correct horse")
    codes = [post(page, "/login", password=f"guess {n}").status_code for n in range(20)]
    assert codes == [403] * attempts.MOST_OF_ONE + [429] * (20 - attempts.MOST_OF_ONE)
    assert post(page, "/login", password="correct horse").status_code == 429
    assert caplog.text.count("wrong password from") == attempts.MOST_OF_ONE
    assert "too many" in caplog.text
    assert "guess 1" not in caplog.text


def test_guesses_are_forgotten_after_a_while():
    clock = [0.0]
    kept = attempts.Attempts(lambda: clock[0])
    for _ in range(attempts.MOST_OF_ONE):
        assert kept.wait_seconds("a") == 0
        kept.fail("a")
    assert kept.wait_seconds("a") == attempts.WINDOW_SECONDS
    assert kept.wait_seconds("b") == 0
    clock[0] = attempts.WINDOW_SECONDS + 1
    assert kept.wait_seconds("a") == 0


def test_many_addresses_share_a_limit():
    kept = attempts.Attempts(lambda: 0.0)
    for number in range(attempts.MOST_OF_ALL):
        kept.fail(str(number))
    assert kept.wait_seconds("new") > 0


def test_only_hashes_are_stored_in_files_of_the_owner(credentials):
    credentials.set_password("correct horse")
    token = credentials.add_token("script")
    for file in credentials.folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert b"correct horse" not in file.read_bytes()
        assert token.encode() not in file.read_bytes()
    assert (credentials.folder / "password").read_text().startswith("$argon2id$")


def test_a_script_needs_its_token(page, credentials, add_mended):
    number = add_mended()
    credentials.set_password("correct horse")
    token = credentials.add_token("script")
    headers = {"Authorization": f"Bearer {token}"}
    assert page.get("/api/v1/jobs").status_code == 401
    assert page.get("/api/v1/jobs", headers=headers).json()["jobs"][0]["id"] == number
    kept = page.post("/api/v1/jobs/keep", json={"ids": [number]}, headers=headers)
    assert kept.json()[0]["review"] == "kept"
    assert page.get("/api/v1/jobs", headers={"Authorization": "Bearer no"}).status_code == 401
    credentials.revoke_token("script")
    assert page.get("/api/v1/jobs", headers=headers).status_code == 401


def test_a_long_body_is_refused(page):
    answer = page.post("/pause", content=b"x" * 300_000)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "place", ["//evil.example", "https://evil.example/", "/\\evil.example", "x"]
)
def test_a_form_leads_to_no_other_site(page, add_mended, place, post):
    answer = post(page, "/act", ids=add_mended(), do="keep", next=place)
    assert answer.headers["Location"] == "/review"


def test_a_proxy_may_show_the_page_below_a_path(browse):
    page = browse('{"root_path": "/photos"}')
    assert "Path=/photos;" in page.get("/").headers["Set-Cookie"]


def test_a_link_of_another_site_ends_no_session(page, credentials, post):
    credentials.set_password("correct horse")
    post(page, "/login", password="correct horse")
    kept = dict(page.cookies)
    page.cookies.clear()
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    answer = page.get("/review", headers=link)
    assert answer.status_code == 200
    assert 'http-equiv="refresh"' in answer.text
    assert "Set-Cookie" not in answer.headers
    page.cookies.update(kept)
    assert "Review" in page.get("/review", headers={"Sec-Fetch-Site": "same-origin"}).text


def test_browsers_keep_our_files_and_no_page(page):
    assert page.get("/static/page.css").headers["Cache-Control"] == "no-cache"
    assert page.get("/review").headers["Cache-Control"] == "no-store"
