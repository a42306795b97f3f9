"""The page of a run on slices: it tells what the files tell, shows any text as text, and opens in a real browser."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainmri_monai.metrics.slice_table import to_slice_answers, to_slice_table
from brainmri_monai.metrics.slices import score_slices, summarise_answers
from brainmri_monai.metrics.table import write_table
from brainmri_monai.report import write_slice_report
from brainmri_monai.report.slice_page import mistake_path

ODD = '<script>alert("x")</script> & Jürgen 患者'
CLASSES = ["glioma", ODD]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page(HTMLParser):
    """The text of each section, tags, links and pictures."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.links, self.ids, self.pictures = [], [], [], []
        self.sections: dict[str, str] = {}
        self.inside = "header"
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.links += [attributes[key] for key in ("href", "src") if key in attributes]
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.inside = attributes["id"] if tag == "section" else self.inside
        self.pictures += [attributes] if tag == "img" else []

    def handle_data(self, data):
        self.sections[self.inside] = self.sections.get(self.inside, "") + " " + " ".join(data.split())


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def change(path: Path, how) -> None:
    """Rewrite a JSON file as ``how`` changes its content."""
    content = json.loads(path.read_text(encoding="utf-8"))
    how(content)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def trained(tmp_path) -> Path:
    """A run that is not evaluated yet."""
    run = {"bundle": "brain_tumor_slice_classification", "version": "0.1.0", "finished": None, "seed": 7}
    entry = {"image": ["a.png"], "digests": ["1"]}
    entries = [{"id": f"{n}.png", "label": CLASSES[n % 2], "group": n // 2, **entry} for n in range(6)]
    datalist = {
        "name": "set", "root": "/set", "layout": "slices", "digest": "abc", "classes": CLASSES,
        "split": {"method": "holdout", "groups": "twins", "seed": 7, "notes": ["told without anatomy"],
                  "probe": {"together": {"glioma": 0.97, ODD: 0.55}, "size": {"glioma": 0.5, ODD: 0.5}}},
        "training": entries[:3], "validation": entries[3:4], "test": entries[4:],
        "excluded": [{"id": None, "where": "x.png", "what": "truncated", "remedy": "copy it again"}],
    }  # fmt: skip
    for name, content in (("run.json", run), ("datalist.json", datalist)):
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


@pytest.fixture
def evaluated(trained) -> Path:
    """The same with four test slices, one of which got a wrong answer."""
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.97, 0.03], [0.4, 0.6]])
    decisions = ["answered", "answered", "answered", "uncertain"]
    table = to_slice_table(
        ["a", "b", ODD, "d"], probabilities, CLASSES, decisions, [1, 2, 3, 4], [0, 1, 1, 1], [0, 1, 2, 3]
    )
    answers = to_slice_answers(table, CLASSES)
    metrics = score_slices(answers, CLASSES, 20) | summarise_answers(answers, decisions)
    metrics |= {"external": False, "calibration": {
        "fitted_on": 9, "temperature": 1.6, "minimum_confidence": 0.7, "limit": 12.5, "risk": 0.01,
        "abstention": {"confidence": 0.7, "coverage": 0.95, "risk": 0.0, "bound": 0.09, "promised": False},
    }}  # fmt: skip
    metrics["notes"].append("the set has no patient ids")
    (trained / "metrics_test.json").write_text(json.dumps(metrics), encoding="utf-8")
    write_table(table, trained / "test_predictions.csv")
    for path in (trained / "figures/roc_class.png", trained / "figures/gallery.png", mistake_path(trained, 1)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (90, 60)).save(path)
    return trained


def test_the_page_tells_what_was_measured_and_how(evaluated):
    page = read(write_slice_report(evaluated))
    assert "4 slices in 4 groups, which the training has not seen" in page.sections["results"]
    assert "no patient ids" in page.sections["results"]
    assert "Accuracy 0.7500 (" in re.sub(r"\s+", " ", page.sections["results"])
    assert "temperature of 1.60, which softens" in page.sections["trust"]
    assert "That does not keep the risk of 1.00 %" in page.sections["trust"]
    assert "3 answered, 1 uncertain" in page.sections["trust"]
    assert "0.97" in page.sections["shortcuts"]
    assert "truncated" in page.sections["data"]
    assert re.search(r"Total\s+3 \(2\)\s+1 \(1\)\s+2 \(1\)", page.sections["data"])
    assert "must not be used for diagnosis" in page.sections["limits"]


def test_the_page_of_an_ensemble_tells_whose_the_maps_are(evaluated):
    change(evaluated / "metrics_test.json", lambda metrics: metrics["calibration"].update(members=[{"temperature": 1}]))
    assert "the mean over the networks of the ensemble" in read(write_slice_report(evaluated)).sections["mistakes"]


def test_limits_that_were_never_fitted_are_not_told(evaluated):
    constants = {"fitted_on": 0, "temperature": 1.0, "minimum_confidence": 0.0, "limit": None}
    change(evaluated / "metrics_test.json", lambda metrics: metrics.update(calibration=constants))
    trust = read(write_slice_report(evaluated)).sections["trust"]
    assert "never fitted on a validation: every slice is answered" in trust
    assert "least confidence of" not in trust


@pytest.mark.parametrize(
    ("groups", "metric", "said"),
    [
        ("twins", "loss", "the temperature and the best epoch came from the same slices"),
        ("twins", "epoch", "the temperature came from the same slices"),
        ("clusters", "loss", "they lie in few clusters, and the temperature and"),
    ],
)
def test_how_certain_the_bound_is(evaluated, groups, metric, said):
    change(evaluated / "datalist.json", lambda datalist: datalist["split"].update(groups=groups))
    change(evaluated / "run.json", lambda run: run.update(options={"metric": metric}))
    assert said in read(write_slice_report(evaluated)).sections["trust"]


def test_the_dates_of_an_external_test_are_the_trainings(evaluated):
    change(evaluated / "run.json", lambda run: run.update(created="2026-11-21T10:00:00+00:00"))
    assert " · started 2026" in read(write_slice_report(evaluated)).sections["header"]
    change(evaluated / "datalist.json", lambda datalist: datalist["split"].update(method="external"))
    assert " · training started 2026" in read(write_slice_report(evaluated)).sections["header"]


def test_an_official_split_does_not_claim_that_twins_are_together(evaluated):
    change(evaluated / "datalist.json", lambda datalist: datalist["split"].update(method="official"))
    data = read(write_slice_report(evaluated)).sections["data"]
    assert "in what is not its test, twins kept together" in data
    assert "groups that were kept together" not in data


def test_the_mistake_is_shown_with_its_picture(evaluated):
    page = read(write_slice_report(evaluated))
    mistakes = page.sections["mistakes"]
    assert "1 of 4 slices were given a wrong class" in mistakes
    assert ODD in mistakes
    assert "0.970" in mistakes
    assert f"{ODD} and what its layers look at" in [picture["alt"] for picture in page.pictures]
    assert all(picture["alt"] for picture in page.pictures)


def test_of_twins_one_mistake_is_shown(evaluated):
    path = evaluated / "test_predictions.csv"
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    wrong = next(row for row in rows if "script" in row)
    twins = [wrong.replace(ODD.replace('"', '""'), name, 1).replace("0.97", "0.95") for name in ("4.png", "5.png")]
    path.write_text("\n".join([head, *rows, *twins]) + "\n", encoding="utf-8")
    mistakes = read(write_slice_report(evaluated)).sections["mistakes"]
    assert (
        "3 of 4 slices were given a wrong class. Here are the 2 of which the network was surest, of twins one"
        in mistakes
    )
    assert mistakes.index(ODD) < mistakes.index("4.png")
    assert "5.png" not in mistakes


def test_links_lead_into_the_page_and_text_is_text(evaluated):
    page = read(write_slice_report(evaluated))
    assert len(set(page.ids)) == len(page.ids)
    assert all(link.startswith("data:") or link.removeprefix("#") in page.ids for link in page.links)
    assert "script" not in page.tags


def test_what_is_missing_is_said(trained):
    page = read(write_slice_report(trained))
    for section in ("results", "classes", "trust", "mistakes"):
        assert "not been evaluated" in page.sections[section]


def test_an_official_test_is_shown_without_twins_beside(evaluated):
    path = evaluated / "metrics_test.json"
    metrics = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(metrics | {"without_twins": metrics, "twins_of_training": 3}), encoding="utf-8")
    results = read(write_slice_report(evaluated)).sections["results"]
    assert "Of these slices 3 have a twin in the training" in results
    assert "Without twins" in results


@pytest.mark.skipif(CHROMIUM is None, reason="needs the browser chromium, which is not installed")
@pytest.mark.parametrize("kind", ["trained", "evaluated"])
def test_a_browser_renders_it_in_silence(kind, tmp_path_factory, request):
    path = write_slice_report(request.getfixturevalue(kind))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    options += [f"--user-data-dir={tmp_path_factory.mktemp('profile')}", "--enable-logging=stderr", "--dump-dom"]
    done = subprocess.run([CHROMIUM, *options, path.as_uri()], capture_output=True, timeout=120, check=True)
    assert "</html>" in done.stdout.decode()
    assert not [line for line in done.stderr.decode(errors="replace").splitlines() if ":CONSOLE" in line]
