"""docs/lab/accuracy.md as text, from jobs/accuracy.toml and the rows that docs/lab/accuracy.csv keeps."""
import csv
import pathlib
import re
import textwrap
import tomllib

SOURCE = pathlib.Path(__file__).resolve().parent.parent
PAGE, ROWS = SOURCE / "docs" / "lab" / "accuracy.md", SOURCE / "docs" / "lab" / "accuracy.csv"
FIGURES = ("top1", "kept", "agreement", "kl")
COLUMNS = ["table", "teacher", "images", "back_end", "bits", "setting", *(name for of in FIGURES for name in (of, of + "_se")),
           "images_seconds", "student_seconds"]


def study():
    return tomllib.loads((SOURCE / "jobs" / "accuracy.toml").read_text())


def read_rows(path=ROWS):
    """Of a CSV file with a head, as dictionaries of texts: digits stay as they were measured."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def replace_rows(table, rows):
    """The rows of one table, in the place of those that the file has of it; tables keep the order of the study."""
    kept = [row for row in read_rows() if row["table"] != table]
    order = [each["name"] for each in study()["tables"]]
    with open(ROWS, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted([*kept, *rows], key=lambda row: order.index(row["table"])))


def table_of(rows):
    """What all rows share is said once, above them."""
    heads = {"teacher": "teacher", "images": "images", "back_end": "back end", "bits": "bits", "setting": "setting"}
    shared = [name for name in heads if len({row[name] for row in rows}) == 1]
    names = [name for name in heads if name not in shared]
    head = [*(heads[name] for name in names), "top-1 %", "kept %", "agreement %", "KL", "images, s", "student, s"]
    line = lambda row: [*(row[name] for name in names), *(f"{row[name]} ± {row[name + '_se']}" for name in FIGURES),
                        row["images_seconds"], row["student_seconds"]]
    said = "; ".join(f"{heads[name]}: {rows[0][name]}" for name in shared if rows[0][name])
    lines = ["| " + " | ".join(words) + " |" for words in [head, *map(line, rows)]]
    return (f"All rows: {said}.\n\n" if said else "") + "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def section(table, rows):
    """Its figure, if it has one, stands before its rows, which are then folded away."""
    parts = [f"## {table['title']}", table.get("text", "")]
    if "figure" in table:
        parts.append(f"![{table['figure']}](figures/{table['name']}.svg)")
    if table.get("open", False):
        parts.append(table_of(rows))
    else:
        parts += ["<details markdown=\"1\">", f"<summary>{len(rows)} rows</summary>", table_of(rows), "</details>"]
    return "\n\n".join(part for part in parts if part)


def wrapped(markdown):
    """Markdown whose paragraphs and list items are wrapped at 120 characters; tables, headings and HTML stay as they are."""
    def block(text):
        if text.startswith(("|", "#", "<", "!")):
            return text
        items = re.split(r"\n(?=\* )", text)
        return "\n".join(textwrap.fill(" ".join(item.split()), 120, subsequent_indent="  " * item.startswith("* "),
                                       break_long_words=False, break_on_hyphens=False) for item in items)
    return "\n\n".join(block(text) for text in re.split(r"\n{2,}", markdown.strip())) + "\n"


def page():
    plan, rows = study(), read_rows()
    tables = [(table, [row for row in rows if row["table"] == table["name"]]) for table in plan["tables"]]
    return wrapped("\n\n".join([plan["head"], *(section(*each) for each in tables if each[1]), plan["foot"]]))
