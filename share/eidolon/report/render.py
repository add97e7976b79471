"""report.html from report.json: render.py REPORT.json PAGE.html.

Reads nothing but the JSON (docs/reference/report.md) and the template beside it. The page holds its pictures and needs no
network. Ends with 69 where a package of requirements.txt is missing, so that the caller can say what to install.
"""

import json
import os
import pathlib
import sys
import tempfile

try:
    import jinja2
    import markupsafe

    import charts
except ImportError as error:
    if error.name == "charts":
        raise
    sys.exit(69)

HERE = pathlib.Path(__file__).resolve().parent


def percent(value, digits=2):
    return "" if value is None else f"{100 * value:.{digits}f} %"


def with_error(figures, key, factor=1.0, digits=4, unit=""):
    """ "98.33 ± 0.68 %" of figures["top1"] and figures["top1_se"]; a dash where it is not defined."""
    value = (figures or {}).get(key)
    if value is None:
        return "–"
    error = figures.get(key + "_se")
    digits += 1 if key == "kl" and value < 0.01 else 0
    return f"{factor * value:.{digits}f}" + (f" ± {factor * error:.{digits}f}" if error is not None else "") + unit


def byte_size(count):
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"


def number(value, digits=3):
    return "–" if value is None else f"{value:.{digits}g}"


def grouped(value):
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def duration(seconds):
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f}:{seconds % 60:02.0f} min"
    return f"{seconds // 3600:.0f}:{seconds % 3600 // 60:02.0f} h"


def accuracy_of(run):
    """What the accuracy of a run is taken from: all labelled images that `run` measured, else those of the report, else
    synthetic ones. (measured on, in words, {who: figures}) or None."""
    recorded, labelled, synthetic = run.get("evaluation"), run.get("labelled"), run.get("synthetic")
    names = ("teacher", "calibrated", "student")
    if recorded and recorded["measured_on"] == "labelled":
        rows = {name: recorded[name] for name in names if name in recorded}
        return "labelled", f"{recorded['images']} labelled images, by the run itself", rows
    if labelled:
        rows = {"teacher": labelled["teacher"], **labelled.get("students", {})}
        some = "" if labelled["images"] == labelled["in_all"] else f" of {labelled['in_all']}"
        return "labelled", f"{labelled['images']}{some} labelled images, by this report", rows
    if synthetic:
        return "synthetic", synthetic["what"], synthetic["students"]
    return None


def sizes_of(run):
    """Bytes of all parameters as float32 and as the student stores them, or None."""
    nodes = run.get("nodes")
    if not nodes:
        return None
    weights = [node for node in nodes["nodes"] if "bytes" in node]
    other = nodes["other_bytes"]
    return other + sum(node["float_bytes"] for node in weights), other + sum(node["bytes"] for node in weights)


def prepared(run):
    """The run with what the template shows but the JSON does not spell out."""
    run["accuracy"] = accuracy_of(run)
    run["sizes"] = sizes_of(run)
    kinds = run.get("pictures", {}).get("kinds", [])
    kinds.sort(key=lambda kind: not kind["kind"].startswith("optimised"))
    entries = [entry for launch in run.get("times", {}).get("launches", []) for entry in launch["entries"]]
    stages = [entry for entry in entries if entry["rank"] == 0 and "/" not in entry["stage"]]
    run["seconds"] = sum(entry["seconds"] for entry in stages) if stages else None
    return run


def page_of(report):
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.ChainableUndefined)
    environment.filters.update(percent=percent, with_error=with_error, byte_size=byte_size, number=number, grouped=grouped,
                               duration=duration)
    environment.globals["one_minus"] = lambda value: 1 - value
    environment.globals.update({name: markup(function) for name, function in charts.ALL.items()})
    runs = [prepared(run) for run in report["runs"]]
    return environment.get_template("page.html.j2").render(report=report, runs=runs, style=(HERE / "style.css").read_text())


def markup(chart):
    return lambda *arguments: markupsafe.Markup(chart(*arguments))


def write_whole(path, text):
    """Under its final name the file is complete."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=path.name, delete=False) as part:
        part.write(text)
    os.chmod(part.name, 0o666 & ~current_umask())
    os.replace(part.name, path)


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: render.py REPORT.json PAGE.html")
    report = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    if report.get("report_format") != 1:
        sys.exit(f"error: {sys.argv[1]} has report_format {report.get('report_format')}, and this renderer reads 1")
    write_whole(pathlib.Path(sys.argv[2]).absolute(), page_of(report))


if __name__ == "__main__":
    main()
