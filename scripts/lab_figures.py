"""Draws the figures of the lab's pages from the rows beside them (docs/lab/*.csv) into a folder; see scripts/docs."""
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.ticker
from matplotlib import pyplot

from accuracy_page import SOURCE, read_rows

LAB = SOURCE / "docs" / "lab"
INK = "#7d7d7d"  # legible on white and on the dark page, since a figure has no background
COLOURS = ["#3f7fd0", "#d9822b", "#4c9a4c", "#a05fb5"]
PANELS = [("kept", "accuracy kept, %"), ("kl", "KL from the teacher, nats")]
WIDTH = 9.0  # inches
# The same figure is the same bytes: nothing of the time, no random ids. Letters are the reader's own font.
matplotlib.rcParams.update({
    "svg.hashsalt": "eidolon", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10, "text.color": INK,
    "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.grid": True, "grid.color": INK,
    "grid.alpha": 0.25, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "lines.markersize": 5})


def panels(height):
    figure, axes = pyplot.subplots(1, 2, figsize=(WIDTH, height), layout="constrained")
    figure.patch.set_alpha(0)
    for axis in axes:
        axis.patch.set_alpha(0)
    return figure, axes


def save(figure, series, folder, name):
    if len(series) > 1:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2 if max(map(len, labels)) > 40 else len(labels))
    figure.savefig(folder / f"{name}.svg", transparent=True, metadata={"Date": None})
    pyplot.close(figure)


def curves(folder, name, series, label, ticks):
    """Lines over a few places on the x axis: {series: {place: row}}."""
    figure, axes = panels(3.2)
    for axis, (key, text) in zip(axes, PANELS):
        for colour, (title, rows) in zip(COLOURS, series.items()):
            places = [ticks.index(place) for place in rows]
            values = [float(row[key]) for row in rows.values()]
            axis.errorbar(places, values, [float(row[key + "_se"]) for row in rows.values()], color=colour, marker="o",
                          capsize=3, label=title)
        axis.set_xticks(range(len(ticks)), ticks)
        axis.set_xlabel(label)
        axis.set_ylabel(text)
    axes[1].set_yscale("log")
    save(figure, series, folder, name)


def points(folder, name, series):
    """One line of the page for each name: {series: {name: row}}, the first name on top."""
    names = list(dict.fromkeys(name for rows in series.values() for name in rows))
    figure, axes = panels(1.1 + 0.3 * len(names))
    for axis, (key, text) in zip(axes, PANELS):
        for number, (colour, (title, rows)) in enumerate(zip(COLOURS, series.items())):
            shift = 0.15 * (number - (len(series) - 1) / 2)
            places = [names.index(each) + shift for each in rows]
            axis.errorbar([float(row[key]) for row in rows.values()], places, None,
                          [float(row[key + "_se"]) for row in rows.values()], color=colour, marker="o", linestyle="", capsize=2,
                          label=title)
        axis.set_yticks(range(len(names)), names if key == "kept" else [""] * len(names))
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.set_xlabel(text)
    axes[1].set_xscale("log")
    save(figure, series, folder, name)


def plain(text):
    """Short enough for a figure, without Markdown."""
    for old, new in (("**", ""), ("every second 16 then optimised, seen whole, 40 iterations", "half optimised whole"),
                     (" (not data-free)", ""), ("importance by gradient (APHQ)", "importance"), (", 100 iterations", ""),
                     (", 60 iterations", ""),
                     ("(MSE, log-sqrt2 attention, even steps)", "(even steps)"), ("leaves, scenes, textures", "made by rule"),
                     ("half optimised whole", "half optimised"), ("made by rule, half", "half")):
        text = text.replace(old, new)
    return text


def by(rows, *names):
    """{first: {second: row}}, by two columns or functions of a row."""
    found = {}
    for row in rows:
        outer, inner = (name(row) if callable(name) else plain(row[name]) for name in names)
        found.setdefault(outer, {})[inner] = row
    return found


def accuracy(folder):
    rows = read_rows()
    table = lambda name: [row for row in rows if row["table"] == name]
    curves(folder, "bits", by(table("bits"), "teacher", "bits"), "bits of weights and activations",
           ["W8A8", "W6A6", "W4A8", "W4A4", "W3A3"])
    count = lambda row: row["images"].rpartition(" ")[0].rpartition(" ")[2] if row["images"].endswith("images") else \
        row["images"].partition(": ")[2] or "64"
    curves(folder, "images", by(table("images"), lambda _: "half optimised, one rate of 0.01", count) |
           by(table("former_images"), lambda _: "made by rule, former default", count), "images", ["32", "64", "128", "256"])
    steps = lambda row: row["setting"].rpartition(" ")[2] or "60"
    curves(folder, "iterations", by(table("iterations"), lambda _: "half optimised, one rate of 0.01", steps) |
           by(table("former_iterations"), lambda _: "made by rule, former default", steps), "iterations a section",
           ["20", "60", "120"])
    points(folder, "sources", by(table("sources") + table("sources_trained") + table("sources_default"), "back_end", "images"))
    for name in ("three_bits", "ablation"):
        points(folder, name, by(table(name), "teacher", "images"))
    points(folder, "steps", by(table("steps"), "teacher", "back_end"))


def others(folder):
    points(folder, "recipes", by(read_rows(LAB / "recipes.csv"), "teacher", "recipe"))
    points(folder, "families", by(read_rows(LAB / "families.csv"), "images", lambda row: f"{row['model']}, {row['bits']}"))


def growth(folder):
    """Time and memory of one rank over one size at a time (scripts/growth)."""
    rows = read_rows(LAB / "growth.csv")
    labels = {"images": "images", "batch": "batch", "side": "tokens of an image", "size": "width"}
    widths = {"Tiny": 192, "Small": 384, "Base": 768}
    figure, axes = pyplot.subplots(2, len(labels), figsize=(WIDTH, 4.6), layout="constrained", sharex="col", sharey="row")
    figure.patch.set_alpha(0)
    curves = [[("synthesis_ms", "one iteration of synthesis"), ("training_ms", "a training step, all sections")],
              [("peak_mb", "a rehearsal's peak"), ("cache_mb", "inputs and targets of sections")]]
    for column, (name, label) in enumerate(labels.items()):
        here = [row for row in rows if row["axis"] == name]
        place_of = {"size": lambda row: widths[row["place"]], "side": lambda row: float(row["tokens"])}
        places = [place_of.get(name, lambda row: float(row["place"]))(row) for row in here]
        for axis, keys, colours in zip(axes[:, column], curves, (COLOURS[:2], COLOURS[2:])):
            axis.patch.set_alpha(0)
            axis.set_xscale("log", base=2)
            axis.set_yscale("log")
            axis.set_xticks(places, [f"{place:g}" for place in places], rotation=45 if len(places) > 3 else 0)
            axis.minorticks_off()
            for (key, title), colour in zip(keys, colours):
                values = [float(row[key]) or float("nan") for row in here]  # 0: there are none
                axis.plot(places, values, color=colour, marker="o", label=title)
        axes[1, column].set_xlabel(label)
    for axis, text in zip(axes[:, 0], ("ms for one image", "MB a rank")):
        axis.set_ylabel(text)
        axis.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        axis.legend(fontsize=7, handlelength=1.2, borderaxespad=0.2)
    save(figure, {}, folder, "growth")


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    accuracy(folder)
    others(folder)
    growth(folder)


if __name__ == "__main__":
    main()
