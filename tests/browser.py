"""Headless Chromium over its DevTools protocol: enough to open a page, look at it, and hear what it complains about."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

import websocket

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page:
    """A tab: commands of the protocol, and the events that came meanwhile."""

    def __init__(self, address: str):
        self.socket = websocket.create_connection(address, timeout=60, suppress_origin=True)
        self.number, self.events = 0, []
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters) -> dict:
        """Give a command and return its result."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = self._receive()
            if message.get("id") == self.number:
                assert "error" not in message, (method, message["error"])
                return message["result"]

    def _receive(self) -> dict:
        message = json.loads(self.socket.recv())
        if "method" in message:
            self.events.append(message)
        return message

    def open(self, url: str) -> list[str]:
        """Go to a page, wait until it has loaded and its equations are set, and return its complaints."""
        self.events.clear()
        self.send("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._receive()
        self.run("window.MathJax?.startup?.promise.then(() => true)")
        return self.complaints()

    def complaints(self) -> list[str]:
        """Errors of the console and requests that failed or went elsewhere than to where the page came from."""
        found, requested = [], {}
        for event in self.events:
            kind, p = event["method"], event["params"]
            if kind == "Runtime.exceptionThrown":
                found.append(f"exception: {p['exceptionDetails'].get('exception', {}).get('description')}")
            elif kind == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning", "assert"):
                found.append(f"console: {' '.join(str(a.get('value', a.get('description'))) for a in p['args'])}")
            elif kind == "Log.entryAdded" and p["entry"]["level"] in ("error", "warning"):
                found.append(f"log: {p['entry']['text']} {p['entry'].get('url', '')}")
            elif kind == "Network.requestWillBeSent":
                requested[p["requestId"]] = p["request"]["url"]
                if not p["request"]["url"].startswith(("http://127.0.0.1", "file:", "data:", "blob:")):
                    found.append(f"asked elsewhere: {p['request']['url']}")
            elif kind == "Network.loadingFailed" and not p.get("canceled"):
                found.append(f"failed: {requested.get(p['requestId'])} {p['errorText']}")
            elif kind == "Network.responseReceived" and p["response"]["status"] >= 400:
                found.append(f"status {p['response']['status']}: {p['response']['url']}")
        return found

    def run(self, script: str) -> object:
        """The value of a piece of JavaScript; a promise is waited for."""
        result = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"].get("exception", {}).get("description")
        return result["result"].get("value")

    def until(self, script: str, seconds: float = 30.0) -> None:
        """Wait until a piece of JavaScript is true."""
        deadline = time.monotonic() + seconds
        while not self.run(f"Boolean({script})"):
            assert time.monotonic() < deadline, f"still not true after {seconds} s: {script}"
            time.sleep(0.05)

    def press(self, key: str) -> None:
        """Press a key such as ``Tab`` or ``ArrowRight``."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowRight": 39, "ArrowLeft": 37, " ": 32}
        for kind in ("keyDown", "keyUp"):
            text = {"Enter": "\r", " ": " "}.get(key, "") if kind == "keyDown" else ""
            self.send("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=codes[key], text=text)

    def heard(self) -> list[tuple[str, str]]:
        """Role and name of everything that a screen reader meets, in its order."""
        nodes = {node["nodeId"]: node for node in self.send("Accessibility.getFullAXTree")["nodes"]}
        waiting, found = [next(iter(nodes))], []
        while waiting:
            node = nodes[waiting.pop()]
            if not node["ignored"]:
                found.append((node["role"]["value"], node.get("name", {}).get("value", "")))
            waiting += [child for child in reversed(node.get("childIds", [])) if child in nodes]
        return found

    def screen(self, width: int = 1280, height: int = 900, dark: bool = False, still: bool = False) -> None:
        """Set the size of the window and what its user prefers."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        wishes = {"prefers-color-scheme": "dark" if dark else "light"}
        wishes["prefers-reduced-motion"] = "reduce" if still else "no-preference"
        self.send("Emulation.setEmulatedMedia", features=[{"name": n, "value": v} for n, v in wishes.items()])

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """Save what is seen, or the whole page, as PNG."""
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=whole, **(self._clip() if whole else {}))
        path.write_bytes(base64.b64decode(shot["data"]))

    def _clip(self) -> dict:
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {**size, "scale": 1}}


@contextmanager
def browser():
    """A tab of a fresh Chromium, which ends with the block."""
    profile = Path(tempfile.mkdtemp())
    process = subprocess.Popen(
        [
            CHROMIUM,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-port=0",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-extensions",
            f"--user-data-dir={profile}",
            "about:blank",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        active = profile / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not (active.is_file() and active.read_text().count("\n")):
            assert process.poll() is None and time.monotonic() < deadline, "Chromium did not start"
            time.sleep(0.05)
        port = active.read_text().splitlines()[0]
        with urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
            tab = next(t for t in json.load(answer) if t["type"] == "page")
        page = Page(tab["webSocketDebuggerUrl"])
        yield page
        page.socket.close()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        process.wait(timeout=20)
        shutil.rmtree(profile, ignore_errors=True)
