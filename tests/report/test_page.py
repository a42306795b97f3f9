"""The page: it tells what the files tell, shows any text as text, and opens offline in a real browser."""

import base64
import csv
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from PIL import Image

from brainmri_monai.errors import BrainMRIError
from brainmri_monai.report import write_comparison_report, write_report

ODD = '<script>alert("x")</script> & Jürgen 患者'


class Page(HTMLParser):
    """What a page holds: its text, each section's text, headings, links, pictures."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.links, self.ids, self.pictures = [], [], [], []
        self.sections: dict[str, str] = {}
        self.inside = "header"
        self.feed(html)
        self.text = " ".join(self.sections.values())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.links += [attributes[key] for key in ("href", "src") if key in attributes]
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag == "section":
            self.inside = attributes["id"]
        if tag == "img":
            self.pictures.append(attributes)

    def handle_data(self, data):
        self.sections[self.inside] = self.sections.get(self.inside, "") + " " + " ".join(data.split())


def read(path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def test_the_page_tells_what_ran_and_what_came_out(evaluated):
    page = read(write_report(evaluated))
    metrics = json.loads((evaluated / "metrics_test.json").read_text(encoding="utf-8"))
    auc = metrics["tasks"]["type"]["roc_auc_macro"]
    assert f"{auc['value']:.2f} ({auc['low']:.2f} to {auc['high']:.2f})" in page.sections["results"]
    assert "6 test patients" in page.sections["results"]
    assert "grade 1, grade 4" in page.sections["tasks"]
    assert "1.60" in page.sections["calibration"]
    assert "truncated PNG" in page.sections["data"]
    assert "a rare stratum" in page.sections["data"]
    assert "bfloat16" in page.sections["run"]
    assert "must not be used for diagnosis" in page.sections["limits"]


def test_patients_and_files_are_counted_by_part(evaluated):
    assert re.search(r"Total\s+3 \(6\)\s+1 \(2\)\s+6 \(12\)", read(write_report(evaluated)).sections["data"])


def test_the_surest_mistake_comes_first(evaluated):
    mistakes = read(write_report(evaluated)).sections["mistakes"]
    assert mistakes.index(ODD) < mistakes.index("Confidence") < len(mistakes.partition("patient")[0])
    assert "oligodendroglioma, grade 2" in mistakes


def test_wrong_grades_are_mistakes_too(evaluated):
    with (evaluated / "test_predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["pred"] == row["label"]]
    wrong = [row["id"] for row in rows if row["grade_label"] and row["grade_pred"] != row["grade_label"]]
    assert wrong
    mistakes = read(write_report(evaluated)).sections["mistakes"]
    assert f"{len(wrong)} the right type and a wrong grade" in mistakes
    assert all(patient in mistakes for patient in wrong)


def test_all_figures_are_there_once_with_alternative_texts(evaluated):
    page = read(write_report(evaluated))
    assert len(page.pictures) == len(list((evaluated / "figures").rglob("*.png"))) == 18
    assert all(picture["alt"] for picture in page.pictures)
    for picture in page.pictures:
        with Image.open(io.BytesIO(base64.b64decode(picture["src"].partition(",")[2]))) as image:
            image.load()


def test_every_link_stays_on_the_page(evaluated, compared):
    for path in (write_report(evaluated), write_comparison_report(compared)):
        page = read(path)
        assert len(set(page.ids)) == len(page.ids)
        for link in page.links:
            assert link.startswith(("data:", "#"))
            assert not link.startswith("#") or link[1:] in page.ids


def test_any_text_is_shown_as_text(evaluated, compared):
    for path in (write_report(evaluated), write_comparison_report(compared)):
        page = read(path)
        assert ODD in page.text
        assert "script" not in page.tags


def test_what_is_missing_is_said(trained):
    page = read(write_report(trained))
    for section in ("results", "tasks", "calibration", "mistakes"):
        assert "not been evaluated" in page.sections[section]
    assert "no attention figures" in page.sections["attention"]
    assert "3 epochs" in page.sections["training"]


def test_a_run_that_was_cut_short_has_a_page(trained):
    for name in ("datalist.json", "history.json"):
        (trained / name).unlink()
    shutil.rmtree(trained / "figures")
    run = json.loads((trained / "run.json").read_text(encoding="utf-8")) | {"finished": None}
    (trained / "run.json").write_text(json.dumps({key: run[key] for key in ("bundle", "finished")}), encoding="utf-8")
    page = read(write_report(trained))
    assert "not finished" in page.text
    assert "no datalist" in page.sections["data"]


def test_undefined_numbers_are_dashes(evaluated):
    path = evaluated / "metrics_test.json"
    metrics = json.loads(path.read_text(encoding="utf-8"))
    metrics["tasks"]["type"]["roc_auc_macro"] = {"value": None, "low": None, "high": None}
    metrics["tasks"]["type"]["brier"] = {"value": float("nan"), "low": float("nan"), "high": float("nan")}
    path.write_text(json.dumps(metrics), encoding="utf-8")
    results = read(write_report(evaluated)).sections["results"]
    assert re.search(r"ROC AUC, macro\s+–", results)
    assert "nan" not in results.lower()


def test_few_attention_figures_are_a_choice(evaluated):
    page = read(write_report(evaluated, attention_figures=2))
    assert len(page.pictures) == 14
    assert "4 more cases" in page.sections["attention"]


def test_what_an_interrupted_drawing_left_is_no_figure(evaluated):
    (evaluated / "figures/.half.png").write_bytes(b"")
    assert "Results" in write_report(evaluated).read_text(encoding="utf-8")


def test_a_cross_validation_shows_each_fold(crossvalidated):
    page = read(write_report(crossvalidated))
    assert re.search(r"Fold 0\s+Fold 1\s+.*0\.61\s+0\.71", page.sections["results"], re.S)
    assert "had not seen them" in page.sections["results"]
    assert "fold 0 type 1.50, grade 0.50; fold 1 type 1.60, grade 0.60" in page.sections["calibration"]


def test_a_cross_validation_shows_the_attention_of_all_folds(crossvalidated):
    page = read(write_report(crossvalidated))
    assert sum("attention weights" in picture["alt"] for picture in page.pictures) == 6


def test_a_comparison_shows_values_and_differences(compared):
    page = read(write_comparison_report(compared))
    assert "−0.060 (−0.200 to 0.080)" in page.sections["differences"]
    assert "0.610 (0.500 to 0.720)" in page.sections["values"]
    assert (compared / "figures" / "comparison.png").exists()


@pytest.mark.parametrize("write", [write_report, write_comparison_report])
def test_a_folder_without_a_run_is_refused(tmp_path, write):
    with pytest.raises(BrainMRIError, match="found no"):
        write(tmp_path)


def test_a_damaged_file_is_named(evaluated):
    (evaluated / "metrics_test.json").write_text('{"patients": ', encoding="utf-8")
    with pytest.raises(BrainMRIError, match=r"metrics_test\.json"):
        write_report(evaluated)


# --- in a browser

chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(chromium is None, reason="needs the browser chromium, which is not installed")


def browse(path, tmp_path) -> tuple[str, list[str], list[str]]:
    """Open a file. Returns the document as rendered, what the console said, and what addresses the page asked for."""
    log = tmp_path / "net.json"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    options += [
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--log-net-log={log}",
        "--enable-logging=stderr",
        "--dump-dom",
    ]
    done = subprocess.run([chromium, *options, path.as_uri()], capture_output=True, timeout=120, check=True)
    console = [line for line in done.stderr.decode(errors="replace").splitlines() if ":CONSOLE" in line]
    net = json.loads(log.read_text(encoding="utf-8"))
    started = net["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    requests = [
        event["params"] for event in net["events"] if event["type"] == started and "url" in event.get("params", {})
    ]
    # what the browser asks for on its own account (its clock, its updates) has no origin
    return done.stdout.decode(), console, [r["url"] for r in requests if r.get("initiator") != "not an origin"]


@needs_chromium
@pytest.mark.parametrize("kind", ["evaluated", "trained", "crossvalidated", "compared"])
def test_a_browser_renders_it_in_silence_and_asks_for_nothing(kind, tmp_path, request):
    folder = request.getfixturevalue(kind)
    path = write_comparison_report(folder) if kind == "compared" else write_report(folder)
    document, console, requests = browse(path, tmp_path)
    assert ODD in Page(document).text
    assert "</html>" in document
    assert console == []
    assert requests == []


@needs_chromium
def test_the_browser_would_have_told(tmp_path):
    path = tmp_path / "bad.html"
    path.write_text('<img src="http://127.0.0.1:9/x.png"><script>throw new Error("here")</script>', encoding="utf-8")
    _, console, requests = browse(path, tmp_path)
    assert "here" in console[0]
    assert requests == ["http://127.0.0.1:9/x.png"]


@needs_chromium
def test_the_policy_stops_what_slips_in(evaluated, tmp_path):
    path = write_report(evaluated)
    html = path.read_text(encoding="utf-8")
    path.write_text(
        html.replace("<main>", '<main><img src="http://127.0.0.1:9/x.png"><script>throw 1</script>'), "utf-8"
    )
    _, console, requests = browse(path, tmp_path)
    assert all("Content Security Policy" in line for line in console)
    assert len(console) == 2
    assert requests == []
