"""Charts as SVG texts that stand in a page: matplotlib draws, CSS variables colour.

Every colour is drawn as a placeholder and then replaced by a variable of style.css, so that one drawing serves the dark and
the light theme and paper. Texts stay texts, in the page's font.
"""

import base64
import io
import itertools
import logging
import math
import re
import warnings

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402  (the back end is chosen before)
from matplotlib.ticker import MaxNLocator  # noqa: E402

INK, MUTED, GRID, TEACHER, CALIBRATED, STUDENT, BAD = (f"#0{i}0{i}0{i}" for i in range(1, 8))
VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", TEACHER: "teacher", CALIBRATED: "calibrated", STUDENT: "student",
             BAD: "bad"}
SERIES = {"teacher": TEACHER, "calibrated": CALIBRATED, "student": STUDENT}
WHOLE = ("classes that flip", "nodes by number format")  # charts whose axis counts
WIDTH = 4.5  # inches of 72 units: 324 units, about the width of a phone's page, so that 9 units are 9 pixels there
MOST_LINES = 40  # of a grid that is drawn over the whole height
BAR, MARGIN = 0.21, 0.62  # inches: of a row, and of axis, title and legend together

plt.rcParams.update({
    "svg.fonttype": "none", "text.parse_math": False, "font.size": 9.2, "font.family": "sans-serif", "axes.titlesize": 9,
    "axes.labelsize": 8.5, "xtick.labelsize": 8, "ytick.labelsize": 8, "legend.fontsize": 8, "legend.frameon": False,
    "text.color": INK, "axes.labelcolor": MUTED, "axes.edgecolor": GRID, "xtick.color": MUTED, "ytick.color": MUTED,
    "xtick.labelcolor": MUTED, "ytick.labelcolor": INK, "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.6,
    "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
    "ytick.left": False, "xtick.bottom": False, "figure.constrained_layout.use": True, "axes.titlelocation": "left",
})
warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")  # the page's font has what the measuring one lacks
logging.getLogger("matplotlib").setLevel(logging.ERROR)


def svg_of(figure, label):
    for axes in figure.axes:
        if axes.get_xscale() == "linear":
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=label in WHOLE))  # more labels would touch
    file = io.StringIO()
    numbers = next(_numbers)
    plt.rcParams["svg.hashsalt"] = f"chart-{numbers}"  # ids differ between charts, not between runs
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    plt.close(figure)
    text = file.getvalue()
    text = text[text.index("<svg"):]
    for colour, name in VARIABLES.items():
        text = text.replace(colour, f"var(--{name})")
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.S)
    text = re.sub(r' id="(?:figure|axes|patch|line2d|text|matplotlib|legend|PathCollection|QuadMesh|LineCollection|xtick|ytick|'
                  r'FillBetweenPolyCollection|PolyCollection)[\w.]*"', "", text)
    text = re.sub(r'(font: (?:\w+ )?[\d.]+px )[^;"]*', r"\1sans-serif", text).replace("sans-serif", "var(--font)")
    text = re.sub(r' xmlns(?::\w+)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", text, count=1)
    text = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", text, count=1)
    return text.replace("<svg ", f'<svg class="chart" role="img" aria-label="{_escaped(label)}" ', 1)


_numbers = itertools.count()


def _escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def _short(text, most=22):
    return text if len(text) <= most else text[: most - 1] + "…"


def _rows(count):
    return plt.subplots(figsize=(WIDTH, BAR * count + MARGIN))


def _legend(axes, columns=3):
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, borderaxespad=0.2, handlelength=1, columnspacing=1.2,
                labelcolor=INK)


def _plain_powers(axes):
    """Powers of ten without TeX, which the page could not show."""
    superscripts = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

    def name(value, _):
        exponent = math.log10(value)
        if abs(exponent - round(exponent)) > 1e-6:
            return ""
        return "1" if round(exponent) == 0 else "10" + str(round(exponent)).translate(superscripts)

    axes.yaxis.set_major_formatter(name)
    axes.yaxis.set_minor_formatter(lambda value, _: "")


def accuracy(rows, key, name, factor):
    """Values with errors, one row each: rows = [(label, who, figures)]."""
    rows = [(label, who, figures) for label, who, figures in rows if figures.get(key) is not None]
    if not rows:
        return ""
    figure, axes = _rows(len(rows) * 1.2)
    for place, (_, who, figures) in enumerate(rows):
        value, error = factor * figures[key], factor * (figures.get(key + "_se") or 0)
        axes.errorbar(value, place, xerr=error, fmt="o", color=SERIES[who], markersize=6, capsize=3, linewidth=1.6)
    axes.set_yticks(range(len(rows)), [_short(label, 30) for label, _, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.margins(x=0.15)
    axes.set_xlabel(f"{name} (the bar is one standard error on each side)")
    return svg_of(figure, name)


def sections(parts, outcomes, key, name, change=None):
    """Pairs of bars per section: calibrated, trained. `outcomes`: {section: kept}."""
    def value(part, who):
        found = part.get(who, {}).get(key)
        return None if found is None else (change(found) if change else found)

    students = [who for who in ("calibrated", "student") if any(value(part, who) is not None for part in parts)]
    if not students:
        return ""
    figure, axes = _rows(len(parts) * 1.25)
    height = 0.8 / len(students)
    for offset, who in enumerate(students):
        places = [place - 0.4 + height * (offset + 0.5) for place in range(len(parts))]
        label = "before training" if who == "calibrated" else "after"
        axes.barh(places, [value(part, who) or 0 for part in parts], height * 0.92, color=SERIES[who], label=label)
    labels = [_short(part["name"]) + (" ✕" if outcomes.get(part["name"]) is False else "") for part in parts]
    axes.set_yticks(range(len(parts)), labels)
    axes.set_ylim(len(parts) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(name)
    _legend(axes)
    return svg_of(figure, name)


def terms(curves):
    """One small chart per term of the synthesis loss."""
    figure, grid = plt.subplots(len(curves), 1, figsize=(WIDTH, 1.35 * len(curves) + 0.3), squeeze=False, sharex=True)
    for axes, (name, curve) in zip(grid[:, 0], curves.items()):
        axes.plot(curve["iteration"], curve["loss"], color=STUDENT, linewidth=1.6, marker="o", markersize=2.5)
        axes.set_title(name)
    grid[-1, 0].set_xlabel("iteration")
    return svg_of(figure, "loss by term over iterations")


def phases(list_of_phases):
    """Training losses, phase after phase, in shades that change at each."""
    figure, axes = plt.subplots(figsize=(WIDTH, 2.6))
    for place, phase in enumerate(list_of_phases):
        axes.plot(phase["steps"], phase["loss"], color=(STUDENT, CALIBRATED)[place % 2], linewidth=1.1)
    if all(loss > 0 for phase in list_of_phases for loss in phase["loss"]):
        axes.set_yscale("log")
        _plain_powers(axes)
    axes.set_xlabel("step of fine-tuning (colours change with the section)")
    axes.set_title("training loss")
    return svg_of(figure, "training loss by phase")


def histogram(node):
    """Values of a node before rounding, and the values that rounding gives as lines."""
    figure, axes = plt.subplots(figsize=(WIDTH, 1.95))
    step = (node["high"] - node["low"]) / len(node["counts"]) or 1
    edges = [node["low"] + step * (i + 0.5) for i in range(len(node["counts"]))]
    axes.bar(edges, node["counts"], step * 0.95, color=STUDENT)
    few = len(node["levels"]) <= MOST_LINES  # more would hide the bars
    axes.vlines(node["levels"], 0, 1 if few else 0.09, transform=axes.get_xaxis_transform(), color=CALIBRATED,
                linewidth=0.6 if few else 0.35)
    axes.set_yscale("log")
    _plain_powers(axes)
    axes.grid(visible=False)
    axes.set_title(f"{_short(node['name'], 34)}: {node['number']}, {node['sqnr_db']:.1f} dB")
    axes.set_xlabel(f"value ({_short(node['group'], 44)})")
    axes.set_ylabel("count")
    return svg_of(figure, f"histogram of {node['name']}")


def section_bytes(nodes):
    """Stored bytes of weights by section, beside float32."""
    totals = {}
    for node in nodes:
        if "bytes" in node:
            stored, whole = totals.get(node["section"], (0, 0))
            totals[node["section"]] = stored + node["bytes"], whole + node["float_bytes"]
    figure, axes = _rows(len(totals))
    places = range(len(totals))
    axes.barh(places, [whole / 1e6 for _, whole in totals.values()], 0.8, color=GRID, label="float32")
    axes.barh(places, [stored / 1e6 for stored, _ in totals.values()], 0.8, color=STUDENT, label="student")
    axes.set_yticks(places, [_short(name) for name in totals])
    axes.set_ylim(len(totals) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("weights, MB (10⁶ bytes)")
    _legend(axes)
    return svg_of(figure, "bytes of weights by section")


def node_bits(nodes):
    """How many nodes have which number, by kind."""
    counts = {}
    for node in nodes:
        key = f"{node['kind']}: {node['number']}"
        counts[key] = counts.get(key, 0) + 1
    figure, axes = _rows(len(counts) * 1.2)
    colours = [GRID if name.endswith("float32") else STUDENT for name in counts]
    axes.barh(range(len(counts)), counts.values(), 0.75, color=colours)
    axes.set_yticks(range(len(counts)), [_short(name, 40) for name in counts])
    axes.set_ylim(len(counts) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("nodes")
    return svg_of(figure, "nodes by number format")


def stage_times(launch):
    """Seconds by stage and rank; inside synthesis what the rank spent on its own units."""
    ranks = sorted({entry["rank"] for entry in launch["entries"]})
    shown = ranks[:8]
    rows = []
    for stage in dict.fromkeys(entry["stage"] for entry in launch["entries"] if "/" not in entry["stage"]):
        for rank in shown:
            of_rank = [entry for entry in launch["entries"] if entry["rank"] == rank]
            whole = sum(entry["seconds"] for entry in of_rank if entry["stage"] == stage)
            own = sum(entry["seconds"] for entry in of_rank if entry["stage"].startswith(stage + "/"))
            rows.append((f"{stage}, rank {rank}", whole, min(own, whole)))
    if not rows:
        return ""
    figure, axes = _rows(len(rows))
    places = range(len(rows))
    axes.barh(places, [whole for _, whole, _ in rows], 0.8, color=CALIBRATED, label="the stage, waiting included")
    axes.barh(places, [own for _, _, own in rows], 0.8, color=STUDENT, label="units or phases")
    axes.set_yticks(places, [name for name, _, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("seconds")
    _legend(axes, 2)
    return svg_of(figure, "time by stage and rank")


def flips(classes):
    """Correct answers that the student lost and gained, by class."""
    figure, axes = _rows(len(classes))
    places = range(len(classes))
    axes.barh(places, [-entry["lost"] for entry in classes], 0.8, color=BAD, label="lost")
    axes.barh(places, [entry["gained"] for entry in classes], 0.8, color=TEACHER, label="gained")
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_yticks(places, [_short(entry["class"], 26) for entry in classes])
    axes.set_ylim(len(classes) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}")
    axes.set_xlabel("images whose correct answer was lost or gained")
    _legend(axes, 2)
    return svg_of(figure, "classes that flip")


def heat(rows):
    """A map as a PNG data URI, one pixel a patch, from 0 to its own highest value."""
    file = io.BytesIO()
    plt.imsave(file, rows, cmap="magma", vmin=0, format="png", metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


ALL = {"chart_accuracy": accuracy, "chart_sections": sections, "chart_terms": terms, "chart_phases": phases,
       "chart_histogram": histogram, "chart_bytes": section_bytes, "chart_bits": node_bits, "chart_times": stage_times,
       "chart_flips": flips, "heat": heat}
