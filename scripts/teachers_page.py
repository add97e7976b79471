"""docs/lab/teachers.md as text, from jobs/teachers.toml and the rows that docs/lab/teachers.csv keeps."""
import csv
import math
import pathlib
import statistics
import tomllib

from accuracy_page import read_rows, wrapped

SOURCE = pathlib.Path(__file__).resolve().parent.parent
PAGE, ROWS = SOURCE / "docs" / "lab" / "teachers.md", SOURCE / "docs" / "lab" / "teachers.csv"
KEY = ("teacher", "source", "recipe", "seed")
FIGURES = {"top1": (100, 2), "kept": (100, 2), "retained": (100, 2), "agreement": (100, 2), "kl": (1, 4)}
COLUMNS = [*KEY, "images", "teacher_top1", *(name for of in FIGURES for name in (of, of + "_se")), "seconds"]
ENDS = ("gaussian", "photographs")  # of which no default is made


def study():
    return tomllib.loads((SOURCE / "jobs" / "teachers.toml").read_text())


def words(key):
    teacher, source, recipe, seed = key
    return f"{teacher} {source} {recipe} seed{seed}"


def stated(key, row):
    """A row as the CSV file keeps it: the digits that the page states."""
    figures, student = row["figures"], row["figures"]["student"]
    number = lambda name, value: f"{FIGURES[name][0] * value:.{FIGURES[name][1]}f}"
    cells = {column: number(name, student[column]) for name in FIGURES for column in (name, name + "_se")}
    return {**dict(zip(KEY, map(str, key))), "images": figures["images"], "teacher_top1": number("top1", figures["teacher"]["top1"]),
            **cells, "seconds": f"{row['seconds']:.0f}"}


def replace_rows(rows):
    """Puts `rows` in the place of those of the same key; rows keep the order of the study."""
    plan = study()
    orders = [list(plan["teachers"]), list(plan["sources"]), list(plan["recipes"])]
    kept = {tuple(row[name] for name in KEY): row for row in (read_rows(ROWS) if ROWS.exists() else [])}
    kept |= {tuple(map(str, key)): stated(key, row) for key, row in rows.items()}
    place = lambda row: [*(order.index(row[name]) for order, name in zip(orders, KEY)), int(row["seed"])]
    with open(ROWS, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(kept.values(), key=place))


def markdown(head, lines):
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *lines]).replace("| --- ", "|---")


def of_several(rows, name):
    """Mean over seeds ± the mean error of sampling; with several seeds, the deviation between them behind it."""
    values, digits = [float(row[name]) for row in rows], 4 if name == "kl" else 2
    error = statistics.mean(float(row[name + "_se"]) for row in rows)
    between = f", {statistics.stdev(values):.{digits}f}" if len(rows) > 1 else ""
    return f"{statistics.mean(values):.{digits}f} ± {error:.{digits}f}{between}"


def table(plan, rows, wanted, recipe, figure):
    """Teachers down, sources across."""
    teachers = wanted.get("teachers", list(plan["teachers"]))
    cell = lambda teacher, source: [row for row in rows if (row["teacher"], row["source"], row["recipe"]) == (teacher, source, recipe)
                                    and int(row["seed"]) in wanted.get("seeds", [1])]
    lines = []
    for teacher in teachers:
        cells = [cell(teacher, source) for source in wanted["sources"]]
        if any(cells):
            lines.append([plan["teachers"][teacher]["title"], *(of_several(each, figure) if each else "" for each in cells)])
    return markdown([plan["recipes"][recipe]["title"], *(plan["sources"][source]["title"] for source in wanted["sources"])], lines)


def left_out(plan, rows, wanted, recipe):
    """For each teacher left out: the source with the least mean of log KL over the others, and what it is on the one left out."""
    sources = [source for source in wanted["sources"] if source not in ENDS]
    kl = {}
    for row in rows:
        if row["recipe"] == recipe and row["seed"] == "1":
            kl.setdefault(row["teacher"], {})[row["source"]] = float(row["kl"])
    whole = {teacher: of for teacher, of in kl.items() if all(source in of for source in [*sources, "photographs"])}
    if len(whole) < 2:
        return ""
    lines = []
    for teacher, of in whole.items():
        others = [of for name, of in whole.items() if name != teacher]
        chosen = min(sources, key=lambda source: statistics.mean(math.log(max(other[source], 1e-4)) for other in others))
        best = min(sources, key=of.get)
        lines.append([plan["teachers"][teacher]["title"], plan["sources"][chosen]["title"], f"{of[chosen]:.4f}",
                      f"{of['default']:.4f}", f"{of[best]:.4f}", f"{of['photographs']:.4f}", f"{of[chosen] / of['photographs']:.2f}"])
    return markdown([f"{plan['recipes'][recipe]['title']}, left out", "the others choose", "KL of that", "of the default",
                     "of its own best", "of photographs", "ratio to them"], lines)


def section(plan, rows, wanted):
    """Tables of what has been measured; nothing where that is the default alone."""
    parts = []
    seeds = {row["seed"] for row in rows if row["recipe"] in wanted["recipes"]}
    if "seeds" in wanted and len(seeds & set(map(str, wanted["seeds"]))) < 2:
        return []
    for recipe in wanted["recipes"]:
        of_recipe = [row for row in rows if row["recipe"] == recipe and row["source"] in wanted["sources"]
                     and row["teacher"] in wanted.get("teachers", plan["teachers"])]
        if {row["source"] for row in of_recipe} - {"default", *ENDS} or (of_recipe and len(wanted["recipes"]) > 1):
            parts += ["KL:", table(plan, rows, wanted, recipe, "kl"), "Accuracy kept, %:", table(plan, rows, wanted, recipe, "kept"),
                      left_out(plan, rows, wanted, recipe) if wanted.get("left_out", False) else ""]
    return [f"## {wanted['title']}", wanted.get("text", "").strip(), *parts] if parts else []


def page():
    plan, rows = study(), read_rows(ROWS)
    parts = [plan["head"], *(part for wanted in plan["tables"] for part in section(plan, rows, wanted)), plan["foot"]]
    return wrapped("\n\n".join(part for part in parts if part))
