# SPDX-License-Identifier: MIT
"""Controls Chromium and Firefox by WebDriver BiDi, with the keys and clicks of a user.

BiDi is JSON over a WebSocket: each answer has the id of its command, and events come in between. chromedriver
listens for Chromium, Firefox listens itself; apart from that, both are used in the same way.
Each wait ends with an event of the browser, or fails after project.LIMIT.
"""

import base64
import contextlib
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import tempfile

import websocket  # python3-websocket, a blocking client: no event loop is needed

import launch
import project
from require import require

# WebDriver's codes of keys that are not characters.
ENTER, TAB, UP, DOWN, SHIFT = "\ue007", "\ue004", "\ue013", "\ue015", "\ue008"
CONTROL, ESCAPE, F2 = "\ue009", "\ue00c", "\ue032"

# Another name of this machine, which the browsers do not trust like localhost if a page comes from there by plain http.
PLAIN_HOST = "plain.test"

# BiDi reports messages of the console, but no violations of a Content-Security-Policy. This script, which
# runs before those of the page, writes each violation to the console.
REPORT_VIOLATIONS = """() => addEventListener('securitypolicyviolation', event => console.error(
    `Content-Security-Policy: ${event.effectiveDirective} blocked ${event.blockedURI} ${event.sample}`))"""

# Scrolls an element to the middle of the view until it stays there for two frames: Firefox scrolls late to the field
# that was typed in, and would move the element away from the mouse. An element that never rests is taken as it is.
SCROLL_INTO_VIEW = """async element => {
    const drawn = () => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const place = () => JSON.stringify(element.getBoundingClientRect());
    for (let times = 0, before; times < 30 && before !== place(); times++) {
        element.scrollIntoView({block: 'center', behavior: 'instant'});
        before = place();
        await drawn();
    } }"""


class Browser:
    """A browser with an empty profile and a tab to work in; the classes below start it.

    It is light or dark, and pages may store data or not. What is downloaded goes to the folder `downloads`. With
    `any_certificate`, it accepts certificates that nobody signed.
    """

    command = []
    announcement = ""  # a pattern of the line it prints when it accepts BiDi; the group is the port
    capabilities = {}

    def __init__(self, dark=False, storage=True, any_certificate=False):
        self.console = []  # (level, text) of every console message and uncaught error so far
        self.count = 0
        self.home = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        self.profile = pathlib.Path(self.home.name, "profile")
        self.profile.mkdir()
        self.downloads = pathlib.Path(self.home.name, "downloads")
        self.downloads.mkdir()
        self.output = pathlib.Path(self.home.name, "output")
        self.prepare(dark, storage)
        self.capabilities = {**self.capabilities, "acceptInsecureCerts": any_certificate}
        try:
            self._start()
            self._connect()
        except BaseException:
            self.close()
            raise

    def prepare(self, dark, storage):
        """Sets `command` and `capabilities`, and writes the files of the profile."""
        raise NotImplementedError

    def _start(self):
        """Starts the command and waits until it listens.

        chromedriver takes a port that is free for ::1, and ends if that port is in use for 127.0.0.1. Then it starts again.
        """
        for attempts_left in reversed(range(10)):
            with self.output.open("w") as output:
                self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                                stdout=output, stderr=output,
                                                env={**os.environ, "HOME": self.home.name,
                                                     "TMPDIR": self.home.name})
            self.pidfd = os.pidfd_open(self.process.pid)  # the browser itself, which may be no child of this process
            try:
                launch.wait_until(self._port, f"{self.command[0]} listens", process=self.process)
                return
            except RuntimeError as ended:
                if not attempts_left or "Address already in use" not in str(ended):
                    raise
                os.close(self.pidfd)

    def _connect(self):
        self.socket = websocket.create_connection(f"ws://127.0.0.1:{self._port()}/session",
                                                  timeout=project.LIMIT, suppress_origin=True)
        session = self.send("session.new", capabilities={"alwaysMatch": self.capabilities})["capabilities"]
        if "goog:processID" in session:
            os.close(self.pidfd)
            self.pidfd = os.pidfd_open(session["goog:processID"])
        # A new tab: Firefox's first tab has no focus, so Enter would not press a button in it.
        self.tab = self.send("browsingContext.create", type="tab")["context"]
        self.send("session.subscribe", events=["log.entryAdded"])
        self.send("script.addPreloadScript", functionDeclaration=REPORT_VIOLATIONS)

    def _port(self):
        ended = self.process.poll() is not None  # asked first: what it said is then complete
        said = self.output.read_text(errors="replace")
        if ended:
            raise RuntimeError(f"{self.command[0]} ended: {said}")
        found = re.search(self.announcement, said)
        return found and found[1]

    def send(self, method, **parameters):
        """Sends a BiDi command and returns its result; stores events that arrive meanwhile."""
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": parameters}))
        while True:
            message = self._receive()
            if message.get("id") == self.count:
                if message["type"] == "error":
                    raise RuntimeError(f"{method}: {message['error']}: {message['message']}")
                return message["result"]

    def _receive(self):
        message = json.loads(self.socket.recv())
        if message.get("method") == "log.entryAdded":
            self.console.append((message["params"]["level"], message["params"]["text"]))
        return message

    def open(self, url):
        """Go to a page and wait until it has loaded."""
        self.send("browsingContext.navigate", context=self.tab, url=url, wait="complete")

    def evaluate(self, expression):
        """The value of a JavaScript expression, as typed in the console; a promise is waited for."""
        result = self.send("script.evaluate", target={"context": self.tab}, awaitPromise=True,
                           userActivation=True,
                           expression=f"(async () => JSON.stringify(await ({expression})))()")
        if result["type"] == "exception":
            raise RuntimeError(result["exceptionDetails"]["text"])
        value = result["result"].get("value")
        return None if value is None else json.loads(value)

    def wait_for(self, expression):
        """Wait until a JavaScript expression is true, and return its value."""
        return self.evaluate(f"""new Promise((resolve, reject) => {{
            const look = () => {{
              try {{ const value = ({expression}); value ? resolve(value) : setTimeout(look, 10) }}
              catch (error) {{ reject(error) }}
            }}
            look() }})""")

    def enter(self, script):
        """Enters a script into the console; returns the text of the exception that it throws, if any."""
        result = self.send("script.evaluate", target={"context": self.tab}, awaitPromise=False,
                           expression=script)
        return result["exceptionDetails"]["text"] if result["type"] == "exception" else None

    def _element(self, selector):
        nodes = self.send("browsingContext.locateNodes", context=self.tab,
                          locator={"type": "css", "value": selector})["nodes"]
        if len(nodes) != 1:
            raise RuntimeError(f"{len(nodes)} elements match {selector}")
        return {"sharedId": nodes[0]["sharedId"]}

    def press(self, keys):
        """Presses and releases keys one after the other; the element with the focus gets them."""
        self._keys([(kind, key) for key in keys for kind in ("keyDown", "keyUp")])

    def chord(self, *keys):
        """Presses keys together, and releases them in reverse order."""
        self._keys([*(("keyDown", key) for key in keys), *(("keyUp", key) for key in reversed(keys))])

    def _keys(self, actions):
        actions = [{"type": kind, "value": key} for kind, key in actions]
        self.send("input.performActions", context=self.tab,
                  actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def click(self, selector):
        """Bring an element into view, move the mouse onto its middle and click."""
        element = self._element(selector)
        self.send("script.callFunction", target={"context": self.tab}, awaitPromise=True,
                  functionDeclaration=SCROLL_INTO_VIEW, arguments=[element])
        origin = {"type": "element", "element": element}
        self.send("input.performActions", context=self.tab, actions=[{
            "type": "pointer", "id": "mouse", "actions": [
                {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
                {"type": "pointerDown", "button": 0},
                {"type": "pointerUp", "button": 0}]}])

    def type(self, selector, keys):
        """Click into an element and type."""
        self.click(selector)
        self.press(keys)

    def choose_file(self, selector, *paths):
        """Chooses files in a file input, as its dialogue would."""
        self.send("input.setFiles", context=self.tab, element=self._element(selector),
                  files=[str(path) for path in paths])

    def resize(self, width, height):
        """Give the page another size."""
        self.send("browsingContext.setViewport", context=self.tab,
                  viewport={"width": width, "height": height})

    def screenshot(self, path):
        """Write what the tab shows to a PNG file."""
        data = self.send("browsingContext.captureScreenshot", context=self.tab)["data"]
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))

    def problems(self):
        """Every warning and error of the console so far.

        Events may come later than an answer, but messages come in their order, and so do errors. This method causes
        one of each and waits until both have arrived.
        """
        mark = f"mark {self.count}"
        self.evaluate(f"(console.debug({mark!r}), reportError({mark!r}))")
        while sum(mark in text for _, text in self.console) < 2:
            self._receive()
        self.console = [(level, text) for level, text in self.console if mark not in text]
        return [text for level, text in self.console if level in ("warn", "error")]

    def close(self):
        """Ends the browser and its child processes, even if it no longer answers."""
        try:
            self.send("browser.close")
            self.socket.close()
            select.select([self.pidfd], [], [], project.LIMIT)  # readable once the process has ended
        except (AttributeError, OSError, RuntimeError, websocket.WebSocketException):
            pass
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        os.close(self.pidfd)
        self.process.terminate()
        self.process.wait(project.LIMIT)
        self.home.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Chromium(Browser):
    """Debian's chromium, through chromedriver."""

    announcement = r"started successfully on port (\d+)"

    def prepare(self, dark, storage):
        options = ["--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
                   "--disable-background-networking", "--disable-component-update",
                   f"--host-resolver-rules=MAP {PLAIN_HOST} 127.0.0.1", f"--user-data-dir={self.profile}"]
        if os.geteuid() == 0:
            options.append("--no-sandbox")  # Chromium's sandbox does not run as root
        if dark:
            options.append("--blink-settings=preferredColorScheme=0")
        program = require("chromium", "chromium")
        self.command = [require("chromedriver", "chromium-driver"), "--port=0"]
        preferences = {"download.default_directory": str(self.downloads)}
        if not storage:
            preferences["profile.default_content_setting_values.cookies"] = 2  # blocks all storage
        self.capabilities = {"goog:chromeOptions": {"binary": program, "args": options, "prefs": preferences}}


class Firefox(Browser):
    """Debian's firefox-esr, which implements BiDi itself."""

    announcement = r"WebDriver BiDi listening on ws://127\.0\.0\.1:(\d+)"

    def prepare(self, dark, storage):
        preferences = {"ui.systemUsesDarkTheme": int(dark), "dom.storage.enabled": storage,
                       "network.dns.localDomains": PLAIN_HOST,
                       "browser.download.folderList": 2, "browser.download.dir": str(self.downloads),
                       "browser.download.alwaysOpenPanel": False}  # the panel would get the focus
        (self.profile / "user.js").write_text("".join(
            f'user_pref("{name}", {json.dumps(value)});\n' for name, value in preferences.items()))
        self.command = [require("firefox-esr", "firefox-esr"), "--headless", "--no-remote",
                        "--profile", str(self.profile), "--remote-debugging-port", "0"]
