"""Runs that are reported, and what an HTML parser says of their pages."""
import html.parser
import json
import os
import subprocess

from program import BINARY, ENVIRONMENT, ProgramTest

SETTINGS = ["--set", "quantization.attention=log2", "--set", "quantization.activation_format=uniform"]
PAGE = os.access(os.environ.get("EIDOLON_REPORT_PYTHON", ""), os.X_OK)
NO_PAGE = "jinja2 and matplotlib are not installed (scripts/setup --report)"


def report(*words, environment=None, ranks=0):
    launcher = ["mpirun", "-n", str(ranks)] if ranks else []
    return subprocess.run([*launcher, BINARY, "report", *map(str, words)], capture_output=True, text=True, timeout=300,
                          env={**ENVIRONMENT, **(environment or {})})


class Page(html.parser.HTMLParser):
    """What a page loads, and what it shows."""

    VOID = {"meta", "link", "img", "br", "hr", "input", "use", "path", "rect"}

    def __init__(self, text):
        super().__init__()
        self.loads, self.links, self.anchors, self.ids, self.tags, self.open, self.texts = [], [], [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        values = dict(attributes)
        if "id" in values:
            self.ids.append(values["id"])
        for name in ("src", "srcset", "data", "poster", "action", "background"):
            if name in values:
                self.loads.append(values[name])
        if "href" in values:
            (self.links if tag == "a" else self.anchors if tag == "use" else self.loads).append(values["href"])

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing that is open"

    def handle_data(self, data):
        self.texts.append(data)


class Report(ProgramTest):
    def gathered(self, *words, run="run"):
        result = report(self.folder / run, *words)
        self.assertEqual(result.returncode, 0, result.stderr)
        text = (self.folder / run / "report.json").read_text()
        return json.loads(text)["runs"][0]

    def assert_sound_page(self, path):
        """Well formed, and nothing in it is loaded from elsewhere."""
        text = path.read_text(encoding="utf-8")
        page = Page(text)
        self.assertEqual(page.open, [])
        for source in page.loads:
            self.assertTrue(source.startswith("data:"), source[:80])
        for link in page.links:
            self.assertTrue(link.startswith("#") and link[1:] in page.ids, link)
        self.assertEqual({"script", "iframe", "object", "embed"} & set(page.tags), set())
        self.assertNotRegex(text, r"url\((?!#|&quot;#)|@import|https?://")
        self.assertNotIn("mathdefault", text)
        return page
