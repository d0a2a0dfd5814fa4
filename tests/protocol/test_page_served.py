# SPDX-License-Identifier: MIT
"""Serving the test page: for which requests, with which fields, and with which Content-Security-Policy."""

import base64
import hashlib
import html.parser
import re

import heads
import launch
import pytest
from rule import rule


def get(line="GET / HTTP/1.1", *fields, options=()):
    """The answer to a request without an upgrade."""
    lines = [line, *(fields or ["Host: localhost:8888"]), ""]
    result = launch.run("".join(text + "\r\n" for text in lines).encode(), *options)
    assert result.returncode == 0, result
    return result.stdout


def page(*request, options=()):
    answer = heads.Answer(get(*request, options=options))
    assert answer.status == 200, answer.body
    return answer


class Elements(html.parser.HTMLParser):
    """The parts of the page that the policy covers: the text of scripts and styles, and all attributes."""

    def __init__(self, body):
        super().__init__()
        self.text, self.attributes, self.inside = {"script": [], "style": []}, [], None
        self.feed(body.decode())

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.inside = tag if tag in self.text else None
        if self.inside:
            self.text[tag].append("")

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside:
            self.text[self.inside][-1] += data


def policy(answer):
    directives = [directive.split() for directive in answer.fields["content-security-policy"].split(";")]
    return {name: sources for name, *sources in filter(None, directives)}


@rule("ws-echo(8) HTTP ANSWERS (5)")
def test_get_is_answered_with_the_page():
    answer = page()
    assert answer.fields["content-type"].lower() == "text/html; charset=utf-8"
    assert len(answer.body) == int(answer.fields["content-length"])
    assert answer.fields["connection"] == "close" and "date" in answer.fields
    assert answer.fields["x-content-type-options"] == "nosniff"
    assert (answer.fields["referrer-policy"], answer.fields["cache-control"]) == ("no-referrer", "no-cache")
    assert answer.body.lower().startswith(b"<!doctype html>") and answer.body.rstrip().endswith(b"</html>")
    answer.body.decode("utf-8")


@rule("RFC 9110 9.3.2")
def test_head_is_answered_with_the_fields_of_get_and_no_body():
    of_get, of_head = page(), page("HEAD / HTTP/1.1")
    assert of_head.body == b""
    assert of_head.fields | {"date": ""} == of_get.fields | {"date": ""}


@rule("RFC 9110 9.3.2")
@rule("ws-echo(8) HTTP ANSWERS (5)", "GET and HEAD of the root without an upgrade get the page.")
@pytest.mark.parametrize("line, fields", [
    ("GET / HTTP/1.0", ("User-Agent: check",)),
    ("HEAD / HTTP/1.0", ("User-Agent: check",)),
    ("GET /?from=here HTTP/1.1", ()),
    ("GET http://localhost:8888/ HTTP/1.1", ()),
    ("GET http://localhost:8888 HTTP/1.1", ()),
    ("GET / HTTP/1.1", ("Host: localhost", "Upgrade: h2c", "Connection: Upgrade")),
    ("GET / HTTP/1.1", ("Host: localhost", "Origin: http://evil.example")),
    ("GET / HTTP/1.1", ("Host: localhost", "Sec-WebSocket-Key: wrong")),
])
def test_the_page_is_served_to_whoever_does_not_ask_for_a_websocket(line, fields):
    page(line, *fields, options=["--origin=https://example.org"])


PATHS = [[], ["--path=/other"], ["--path=/first", "--path=/second"], ["--path=/"], ["--path=any"],
         ["--path=/" + "p" * 4094]]


@rule("ws-echo(8) OPTIONS (12)", "With --no-page, the root is one line that names the path of the WebSocket.")
@pytest.mark.parametrize("paths", PATHS)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_without_the_page_the_root_is_one_line_that_names_the_path_of_the_websocket(paths, version):
    """A health check can therefore always request the root."""
    answer = page(f"GET / HTTP/{version}", options=["--no-page", *paths])
    assert answer.fields["content-type"] == "text/plain; charset=utf-8"
    assert re.fullmatch(rb"[ -~]+\n", answer.body) and len(answer.body) == int(answer.fields["content-length"])
    path = (paths or ["--path=/socket"])[0].removeprefix("--path=").replace("any", "/")
    assert path.encode() in answer.body, answer.body
    of_head = page(f"HEAD / HTTP/{version}", options=["--no-page", *paths])
    assert of_head.body == b""
    assert of_head.fields | {"date": ""} == answer.fields | {"date": ""}


@rule("RFC 9110 15.5.6")
@rule("ws-echo(8) OPTIONS (12)")
def test_without_the_page_other_methods_of_the_root_are_405():
    heads.refused(get("POST / HTTP/1.1", options=["--no-page"]), 405)


@rule("ws-echo(8) OPTIONS (12)")
@pytest.mark.parametrize("path", ["/socket", "/other"])
def test_without_the_page_a_websocket_is_at_its_path_only(path):
    heads.refused(launch.run(heads.head(path="/"), "--no-page", f"--path={path}").stdout, 404)
    assert launch.run(heads.head(path=path), "--no-page", f"--path={path}").stdout == heads.switching()


@rule("RFC 9110 9.3.7", "OPTIONS of / or * gets 204 with the allowed methods, and the record contains the target.")
@pytest.mark.parametrize("options", [[], ["--no-page"], ["--path=/"], ["--path=any", "--no-page"]])
@pytest.mark.parametrize("request_line", ["OPTIONS / HTTP/1.0", "OPTIONS / HTTP/1.1", "OPTIONS http://localhost/ HTTP/1.1",
                                          "OPTIONS http://localhost HTTP/1.1", "OPTIONS * HTTP/1.0", "OPTIONS * HTTP/1.1"])
def test_options_of_the_root_is_204_and_lists_the_methods(request_line, options):
    """Load balancers send it by default as a health check, also in the form that the manual of HAProxy shows."""
    answer = heads.Answer(get(request_line, options=options))
    assert (answer.status, answer.body) == (204, b"")
    assert {"GET", "HEAD"} <= set(answer.fields["allow"].split(", "))
    assert answer.fields["connection"] == "close" and heads.DATE.fullmatch(answer.fields["date"])
    assert not {"content-length", "content-type", "transfer-encoding"} & set(answer.fields), answer.fields
    other = heads.refused(get("POST / HTTP/1.1", options=options), 405)
    assert answer.fields["allow"] == other.fields["allow"]


@rule("RFC 9110 9.3.7")
@pytest.mark.parametrize("path", ["/", "any"])
@pytest.mark.parametrize("target", ["/", "*"])
def test_options_of_the_root_is_204_also_with_an_upgrade_that_is_served_there(path, target):
    assert heads.Answer(launch.run(heads.head(path=target, method="OPTIONS"), f"--path={path}").stdout).status == 204


@rule("RFC 9110 9.3.7")
def test_options_of_everything_is_recorded_as_such_and_at_debug_only():
    request = b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert launch.run(request).stderr == b""
    record = launch.record(launch.run(request, "--verbose").stderr.decode())
    assert (record["path"], record["status"], record["end_id"]) == ("*", "204", "methods-told")


@rule("RFC 9110 9.3.7")
def test_options_of_another_path_is_refused():
    for path, status in ("/socket", 405), ("/other", 404), ("/*", 404), ("*/", 400):
        heads.refused(get(f"OPTIONS {path} HTTP/1.1"), status)


SOCKET = "This is a WebSocket; send Upgrade: websocket over HTTP/1.1"


@rule("ws-echo(8) HTTP ANSWERS (3)",
      "A browser that opens the WebSocket's URL as a page gets 426, which names the test page if it is served.")
@pytest.mark.parametrize("options, sentence", [
    ([], SOCKET + ", or open the test page at / in a browser."),
    (["--path=/other", "--path=/socket"], SOCKET + ", or open the test page at / in a browser."),
    (["--path=any"], SOCKET + ", or open the test page at / in a browser."),
    (["--no-page"], SOCKET + "."),
])
def test_a_browser_that_opens_the_websocket_as_a_page_is_told_where_the_page_is(options, sentence):
    result = launch.run(b"GET /socket HTTP/1.1\r\nHost: localhost\r\n\r\n", *options)
    assert heads.refused(result.stdout, 426).body.decode() == sentence + "\n"
    assert launch.record(result.stderr.decode())["end"] == sentence


@rule("ws-echo(8) HTTP ANSWERS (5)")
@pytest.mark.parametrize("path", ["/", "any"])
def test_where_the_root_is_a_served_path_the_upgrade_decides(path):
    option = f"--path={path}"
    page(options=[option])
    page("HEAD / HTTP/1.1", options=[option])
    assert launch.run(heads.head(path="/"), option).stdout == heads.switching()
    assert launch.run(heads.head(path="/?x"), option).stdout == heads.switching()


@rule("ws-echo(8) OPTIONS (12)")
@pytest.mark.parametrize("path", ["/", "any"])
def test_without_the_page_the_root_may_still_be_a_served_path(path):
    options = [f"--path={path}", "--no-page"]
    assert launch.run(heads.head(path="/"), *options).stdout == heads.switching()


@rule("RFC 6455 4.2.1 (1)")
def test_an_upgrade_is_never_granted_to_head():
    received = launch.run(heads.head(path="/", method="HEAD"), "--path=/").stdout
    answer = heads.Answer(received)
    assert answer.status in (200, 405) and answer.body == b"", received


@rule("ws-echo(8) HTTP ANSWERS (5)")
def test_a_wrong_upgrade_on_the_root_is_judged_as_on_any_served_path():
    heads.refused(launch.run(heads.head(path="/", key=None), "--path=/").stdout, 400)


@rule("RFC 6455 4.2.1 (2)")
def test_an_upgrade_in_http_1_0_is_ignored():
    """RFC 9110 section 7.8. The request gets the page."""
    request = heads.head(path="/", version="HTTP/1.0")
    assert heads.Answer(launch.run(request, "--path=/").stdout).status == 200


def hashes(texts):
    return {f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts}


@rule("ws-echo(8) HTTP ANSWERS (6)",
      "The page's Content-Security-Policy allows its own script and style, and connections to its own server.")
def test_the_policy_allows_this_script_and_this_style_by_their_hashes_and_nothing_else():
    answer = page()
    found, elements = policy(answer), Elements(answer.body)
    assert elements.text["script"] and elements.text["style"]
    assert set(found["script-src"]) == hashes(elements.text["script"]), found
    assert set(found["style-src"]) == hashes(elements.text["style"]), found
    assert found["default-src"] == ["'none'"], found
    for word in ("unsafe-inline", "unsafe-eval", "unsafe-hashes", "*", "http:", "https:"):
        assert word not in " ".join(source for sources in found.values() for source in sources), found


@rule("ws-echo(8) HTTP ANSWERS (6)")
def test_the_policy_allows_the_page_to_connect_to_where_it_came_from_and_nowhere_else():
    found = policy(page())
    assert found["connect-src"] == ["'self'"], found


@rule("ws-echo(8) HTTP ANSWERS (6)")
def test_the_policy_allows_the_image_that_the_page_itself_has_and_no_other():
    found = policy(page())
    assert found["img-src"] == ["data:"], found


@rule("ws-echo(8) HTTP ANSWERS (6)")
def test_the_policy_forbids_frames_foreign_forms_and_a_foreign_base():
    found = policy(page())
    for name in ("frame-ancestors", "form-action", "base-uri"):
        assert found[name] == ["'none'"], found


@rule("ws-echo(8) HTTP ANSWERS (5)")
def test_the_page_loads_nothing_and_has_no_inline_handlers_which_the_policy_would_forbid():
    for tag, name, value in Elements(page().body).attributes:
        assert not name.startswith("on") and name != "style", (tag, name, value)
        assert name not in ("src", "srcset", "action", "formaction") or not value, (tag, name, value)
        if name == "href":
            assert value.startswith(("#", "https://", "data:")), (tag, name, value)
        assert (tag, name) != ("link", "href") or value.startswith("data:"), value


def served_paths(options):
    """The values of the page's inputs that begin like a path."""
    attributes = Elements(page(options=options).body).attributes
    return [value for *where, value in attributes if where == ["input", "value"] and value.startswith("/")]


@rule("ws-echo(8) HTTP ANSWERS (5)")
@pytest.mark.parametrize("options, path", [
    ([], "/socket"),
    (["--path=/other"], "/other"),
    (["--path=/first", "--path=/second"], "/first"),
    (["--path=any"], "/socket"),
    (["--path=/a&b=<c>'d'"], "/a&b=<c>'d'"),
    (['--path=/"><script>alert(1)</script>'], '/"><script>alert(1)</script>'),
    (["--path=/&amp;&quot;"], "/&amp;&quot;"),
    (["--path=/" + "&" * 1000], "/" + "&" * 1000),
])
def test_the_page_offers_the_first_path_that_is_served_escaped(options, path):
    assert served_paths(options) == [path]


def served_origins(options):
    """The origins in the page, parsed as its script does."""
    attributes = Elements(page(options=options).body).attributes
    return [value.split(" ")[1:] for *_, name, value in attributes if name == "data-origins"]


HOSTILE = 'x://"><script>alert(1)<'  # --origin accepts this as an origin


@rule("ws-echo(8) HTTP ANSWERS (5)")
@pytest.mark.parametrize("options, origins", [
    ([], []),
    (["--origin=any"], []),
    (["--origin=https://example.org", "--origin=null"], ["https://example.org", "null"]),
    (["--origin=" + HOSTILE, "--origin=x://&quot;"], [HOSTILE, "x://&quot;"]),
])
def test_the_page_is_told_the_origins_that_are_allowed_escaped(options, origins):
    assert served_origins(options) == [origins]


def served_labs(options):
    """The path of the lab in the page."""
    return [value for *_, name, value in Elements(page(options=options).body).attributes if name == "data-lab"]


@rule("ws-echo(8) HTTP ANSWERS (5)")
@pytest.mark.parametrize("options, path", [
    ([], ""),
    (["--lab=/lab"], "/lab"),
    (["--lab=/first", "--lab=/second"], "/first"),
    (["--path=any", "--lab=/lab"], "/lab"),
    (['--lab=/"><script>alert(1)</script>&lt;'], '/"><script>alert(1)</script>&lt;'),
])
def test_the_page_is_told_the_first_path_of_the_lab_escaped(options, path):
    assert served_labs(options) == [path]


@rule("ws-echo(8) HTTP ANSWERS (5)")
def test_the_page_is_whole_with_every_option_at_its_longest():
    path, origin = "/" + '"' * 4094, "x://" + '"' * 296
    options = ["--path=" + path, "--lab=" + path, *["--origin=" + origin] * 64]
    answer = page(options=options)
    assert answer.body.endswith(b"</html>\n") and len(answer.body) == int(answer.fields["content-length"])
    assert served_paths(options) == [path] and served_labs(options) == [path] and served_origins(options) == [[origin] * 64]


@rule("ws-echo(8) HTTP ANSWERS (5)")
def test_the_answer_with_the_page_has_at_most_64_kib():
    options = ["--path=/a/path/of/some/length", "--lab=/lab", "--origin=https://example.org:8443"]
    assert len(get(options=options)) <= 64 << 10


@rule("ws-echo(8) HTTP ANSWERS (6)")
def test_the_page_is_isolated_so_that_browsers_give_it_a_precise_clock():
    fields = page().fields
    assert (fields["cross-origin-opener-policy"], fields["cross-origin-embedder-policy"]) == ("same-origin", "require-corp")


@rule("ws-echo(8) HTTP ANSWERS (6)")
@pytest.mark.parametrize("option", ['--path=/"><script>alert(1)</script>', "--origin=" + HOSTILE])
def test_an_option_changes_neither_scripts_nor_policy(option):
    plain, hostile = page(), page(options=[option])
    assert policy(plain) == policy(hostile)
    assert Elements(plain.body).text == Elements(hostile.body).text
    assert b"<script>alert" not in hostile.body
    assert len(hostile.body) == int(hostile.fields["content-length"])


@rule("ws-echo(8) HTTP ANSWERS (5)")
def test_what_the_page_offers_is_a_path_that_is_upgraded():
    path = '/"a<b>&c'
    assert served_paths([f"--path={path}"]) == [path]
    assert launch.run(heads.head(path=path), f"--path={path}").stdout == heads.switching()
