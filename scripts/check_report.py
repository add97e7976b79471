"""A page in a headless Chromium; called by scripts/check_report. Speaks the DevTools protocol over a pipe, with no package."""

import argparse
import base64
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

WIDTHS = {"phone": 375, "desk": 1440}
THEMES = ("light", "dark")
DEADLINE = 300  # seconds for all of it; a browser that hangs then ends the script

# What a page must answer with nothing.
PICTURES = "[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.alt || i.src.slice(0, 80))"
WIDER = """document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)
  .slice(0, 5).map(e => e.tagName + '.' + (e.className.baseVal ?? e.className) + ' ' + Math.round(e.getBoundingClientRect().right))"""
SMALL = """[...document.querySelectorAll('svg.chart')].filter(s => s.getBoundingClientRect().width < 200)
  .map(s => s.getAttribute('aria-label'))"""


class Browser:
    """One page of one browser, which ends with the object."""

    def __init__(self, program, profile):
        (command_read, self.commands), (self.answers, answer_write) = os.pipe(), os.pipe()

        def take_pipes():  # Chromium reads commands from 3 and answers on 4
            copies = os.dup(command_read), os.dup(answer_write)
            os.dup2(copies[0], 3), os.dup2(copies[1], 4)

        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # which root cannot have
        self.process = subprocess.Popen(
            [program, "--headless=new", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
             f"--user-data-dir={profile}", *sandbox, "about:blank"],
            preexec_fn=take_pipes, pass_fds=(3, 4, command_read, answer_write), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(command_read), os.close(answer_write)
        self.rest, self.number, self.events, self.session = b"", 0, [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def receive(self):
        while b"\0" not in self.rest:
            piece = os.read(self.answers, 1 << 20)
            if not piece:
                raise RuntimeError("Chromium ended")
            self.rest += piece
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def open(self, url):
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.receive())

    def value(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["text"])
        return result["result"].get("value")

    def close(self):
        self.process.kill()
        self.process.wait()


def errors_of(events):
    """Errors in the console, exceptions, and whatever was fetched beside the page itself."""
    for event in events:
        method, details = event.get("method"), event.get("params", {})
        if method == "Log.entryAdded" and details["entry"]["level"] in ("error", "warning"):
            yield "console: " + details["entry"]["text"]
        elif method == "Runtime.exceptionThrown":
            yield "exception: " + details["exceptionDetails"]["text"]
        elif method == "Runtime.consoleAPICalled" and details["type"] in ("error", "warning", "assert"):
            yield f"console.{details['type']}"
        elif method == "Network.requestWillBeSent" and not details["request"]["url"].startswith(("file:", "data:")):
            yield "fetched: " + details["request"]["url"]
        elif method == "Network.loadingFailed":
            yield "not loaded: " + details["errorText"]


def look(browser, url, name, width, theme, pictures):
    """What is wrong with the page at a width in a theme."""
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
    browser.open(url)
    found = list(errors_of(browser.events))
    found += [f"picture missing: {entry}" for entry in browser.value(PICTURES)]
    found += [f"wider than the window: {entry}" for entry in browser.value(WIDER)]
    found += [f"chart too small: {entry}" for entry in browser.value(SMALL)]
    if browser.value("document.images.length + document.querySelectorAll('svg.chart').length") == 0:
        found.append("the page has neither a picture nor a chart")
    if pictures:
        shot = browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        (pictures / f"{name}-{theme}.png").write_bytes(base64.b64decode(shot))
    return [f"{width} px, {theme}: {entry}" for entry in found]


def paper(browser, url, pictures):
    browser.open(url)
    pdf = base64.b64decode(browser.call("Page.printToPDF", printBackground=False)["data"])
    if pictures:
        (pictures / "paper.pdf").write_bytes(pdf)
    return [] if pdf.startswith(b"%PDF") and len(pdf) > 10000 else ["it does not print"]


def main():
    parser = argparse.ArgumentParser(prog="check_report", description=__doc__)
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--pictures", type=pathlib.Path, help="folder for screenshots and a PDF")
    parser.exit_on_error = False
    try:
        given = parser.parse_args()
    except argparse.ArgumentError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(64)
    if not given.page.is_file():
        print(f"error: there is no page {given.page}", file=sys.stderr)
        sys.exit(64)
    if given.pictures:
        given.pictures.mkdir(parents=True, exist_ok=True)
    url = given.page.resolve().as_uri()
    signal.alarm(DEADLINE)
    with tempfile.TemporaryDirectory(prefix="check-report-", ignore_cleanup_errors=True) as profile:
        browser = Browser(os.environ["EIDOLON_CHROMIUM"], profile)
        try:
            found = [entry for name, width in WIDTHS.items() for theme in THEMES
                     for entry in look(browser, url, name, width, theme, given.pictures)]
            found += paper(browser, url, given.pictures)
        finally:
            browser.close()
    for entry in found:
        print(entry)
    print(f"{given.page}: " + (f"{len(found)} faults" if found else "sound at 375 and 1440 px, light and dark, and on paper"))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
