"""A comparison kept and shared: its name, its file, and what is in the HTML and the CSV that people send to one another."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from backend import i18n
from backend.cli import main as cli
from backend.errors import ConflictError, NotFoundError, PanelError
from backend.memory import comparisons
from backend.memory.compare import Comparison, compare
from backend.memory.report import to_html
from backend.memory.report_chart import chart, nice, shortened
from backend.memory.report_table import to_csv
from backend.memory.series import MemoryStore
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.recorded_runs import LMDEPLOY, Runs, served

EVIL = "<script>alert(1)</script>\"'&{a}"
VOID = {"meta", "br"}


@pytest.fixture
def two(store: Store, memory: MemoryStore) -> Comparison:
    """Two servers of the same model, the second with a quantized KV cache and a gap in its record."""
    runs = Runs(store, memory)
    spec = {"model": "starter", "engine": "lmdeploy"}
    ids = [
        runs.add(EVIL, [1.0] * 9, [8.0] * 9, spec=spec, log=LMDEPLOY, events=served()),
        runs.add(
            "=cmd|'/c'!A1",
            [1.0] * 9,
            [5.0] * 3 + [None] * 3 + [5.5] * 3,
            spec={**spec, "quant_policy": 8},
            log=LMDEPLOY,
        ),
    ]
    return compare(store, memory, ids)


class Reader(HTMLParser):
    """Reads a page as a browser does: what is a tag, what is text, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_shared_file_needs_nothing_else_and_runs_nothing(two: Comparison) -> None:
    page = to_html(two)
    read = Reader(page)
    assert (read.wrong, read.open) == ([], [])
    assert "script" not in read.tags
    assert not {"img", "link", "iframe", "object", "embed", "use", "image", "a", "form"} & set(read.tags)
    assert not {"src", "href", "xlink:href", "action"} & {name for name, _value in read.attributes}
    assert [name for name, _value in read.attributes if name.startswith("on")] == []
    assert re.findall(r"https?:|//[a-z]|url\(|@import|@font-face", page.replace(EVIL, "")) == []
    assert "prefers-color-scheme:dark" in page
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_names_are_text_wherever_they_stand(store: Store, memory: MemoryStore) -> None:
    runs = Runs(store, memory)
    found = compare(store, memory, [runs.add(EVIL, [1.0] * 3, [2.0] * 3), runs.add("plain", [1.0] * 3)])
    read = Reader(to_html(found))
    assert found.labels() == [f"A {EVIL}", "B plain"]
    # In the table, beside its line in both charts, and in the words on hover.
    assert "".join(read.text).count(EVIL) >= 1 + 2 * 2
    assert any(EVIL in value for name, value in read.attributes if name == "title")
    assert set(read.tags) <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "svg", "g", "line", "path", "text"),
        *("circle", "table", "thead", "tbody", "tr", "th", "td", "i", "b", "span", "small", "ul", "li"),
    }


def test_the_table_says_the_figures_their_sources_and_how_far_they_are_apart(two: Comparison) -> None:
    said = " ".join(Reader(to_html(two)).text)
    for words in ("8.0 GiB", "5.5 GiB", "−2.5 GiB · −31%", "measured", "reported by the engine", "40.0 GiB", "4.0 s"):
        assert words in said
    assert "it never came so far that it could answer" in said
    assert "the GPU's driver tells it for each process" in said
    assert not re.search(r">\s*(?:-|--|None|nan)\s*<", to_html(two))


def test_the_chart_leaves_a_gap_open_and_tells_its_values_on_hover(two: Comparison) -> None:
    drawn = chart(two, "gpu")
    lines = re.findall(r'<path d="(M[^"]+)" fill="none" stroke="(#\w+)" stroke-width="2"', drawn)
    assert [d.count("M") for d, _colour in lines] == [1, 2]
    assert len({colour for _d, colour in lines}) == 2
    told = re.findall(r"<title>([^<]*)</title></circle>", drawn)
    assert any(each.endswith("5.5 GiB") for each in told)
    assert len(told) <= 2 * 48
    assert chart(two, "host").count("<circle") > 0


def test_labels_that_would_lie_on_one_another_are_moved_apart(store: Store, memory: MemoryStore) -> None:
    runs = Runs(store, memory)
    ids = [runs.add(f"run {i}", [1.0 + i / 1000] * 5) for i in range(8)]
    drawn = chart(compare(store, memory, ids), "host")
    heights = sorted(float(y) for y in re.findall(r'<text x="\d+" y="([\d.]+)" class="e"', drawn))
    assert len(heights) == 8
    assert min(b - a for a, b in pairwise(heights)) >= 14.9
    assert heights[0] > 0
    assert drawn.count("stroke-dasharray") == 2 * 4
    assert len(set(re.findall(r'stroke="(#\w+)" stroke-width="2"', drawn))) == 8


@pytest.mark.parametrize(("step", "wanted"), [(0.03, 0.05), (0.2, 0.2), (1.1, 2), (7, 10), (0, 0.01)])
def test_ticks_are_numbers_that_people_count_in(step: float, wanted: float) -> None:
    assert nice(step) == pytest.approx(wanted)


def test_a_long_label_is_cut_by_its_width() -> None:
    assert shortened("A " + "x" * 60, 10) == "A xxxxxxx…"
    assert shortened("A 水稻的模型", 8) == "A 水稻…"
    assert shortened("A short", 10) == "A short"


def test_the_shared_file_speaks_the_language_of_who_shares_it(two: Comparison) -> None:
    assert '<html lang="en">' in to_html(two)
    i18n.use("zh_CN")
    assert '<html lang="zh-CN">' in to_html(two)


def test_a_spreadsheet_shows_names_and_computes_none_of_them(two: Comparison) -> None:
    text = to_csv(two)
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert text.startswith("\ufeff")
    assert [row["title"] for row in rows] == [EVIL, "'=cmd|'/c'!A1"]
    assert [row["gpu_peak_gib"] for row in rows] == ["8.0000", "5.5000"]
    assert rows[1]["gpu_peak_difference_gib"] == "-2.500"
    assert (rows[1]["load_s"], rows[1]["load_source"]) == (
        "",
        "not measured: it never came so far that it could answer",
    )
    assert [(row["kv_bits"], row["cache_share"]) for row in rows] == [("16", "0.8"), ("8", "0.8")]


def test_a_saved_comparison_keeps_its_figures_when_everything_else_is_gone(
    workspace: Workspace, store: Store, memory: MemoryStore, two: Comparison
) -> None:
    kept = comparisons.save(workspace, two, "  KV  8 bit · 水稻 ")
    assert kept.name == "KV 8 bit · 水稻"
    for row in two.rows:
        store.delete(row.run.id)
    memory.close()
    workspace.memory_db.unlink()
    found = comparisons.load(workspace, kept.name)
    assert found == kept
    assert to_html(found) == to_html(kept)
    assert [(each.name, each.readable) for each in comparisons.saved(workspace)] == [(kept.name, True)]
    assert (workspace.comparisons / f"{kept.name}.json").stat().st_mode & 0o077 == 0


def test_a_name_that_is_taken_is_taken(workspace: Workspace, two: Comparison) -> None:
    comparisons.save(workspace, two, "one")
    comparisons.save(workspace, two, "two")
    before = (workspace.comparisons / "one.json").read_bytes()
    for attempt in (
        lambda: comparisons.save(workspace, two, "one"),
        lambda: comparisons.rename(workspace, "two", "one"),
    ):
        with pytest.raises(ConflictError) as error:
            attempt()
        assert error.value.code == "memory_comparison_name_taken"
    assert (workspace.comparisons / "one.json").read_bytes() == before
    assert {each.name for each in comparisons.saved(workspace)} == {"one", "two"}
    assert comparisons.rename(workspace, "two", " three ") == "three"
    assert comparisons.load(workspace, "three").name == "three"
    comparisons.delete(workspace, "three")
    with pytest.raises(NotFoundError) as missing:
        comparisons.load(workspace, "three")
    assert missing.value.code == "memory_comparison_unknown"


@pytest.mark.parametrize(
    "name", ["", "  ", "a/b", "..", ".hidden", "a\\b", "x" * 81, "水" * 67, "a\0b", "../../settings"]
)
def test_a_name_that_could_lead_elsewhere_is_refused(workspace: Workspace, two: Comparison, name: str) -> None:
    with pytest.raises(ConflictError) as error:
        comparisons.save(workspace, two, name)
    assert error.value.code == "memory_comparison_name_bad"
    with pytest.raises(NotFoundError):
        comparisons.load(workspace, name)
    assert not workspace.comparisons.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"rows": []}', '{"rows": [{}, {}], "taken": 1}', "null"])
def test_a_damaged_file_is_named_and_can_be_deleted(workspace: Workspace, two: Comparison, content: str) -> None:
    comparisons.save(workspace, two, "good")
    (workspace.comparisons / "bad.json").write_text(content)
    with pytest.raises(PanelError) as error:
        comparisons.load(workspace, "bad")
    assert error.value.code == "memory_comparison_damaged"
    assert {each.name: each.readable for each in comparisons.saved(workspace)} == {"good": True, "bad": False}
    comparisons.delete(workspace, "bad")
    assert [each.name for each in comparisons.saved(workspace)] == ["good"]


def test_what_a_later_tunedeck_adds_is_no_damage(workspace: Workspace, two: Comparison) -> None:
    comparisons.save(workspace, two, "later")
    path = workspace.comparisons / "later.json"
    data = json.loads(path.read_text())
    data["new"] = data["rows"][0]["new"] = data["rows"][0]["run"]["setup"]["new"] = 1
    path.write_text(json.dumps(data))
    assert comparisons.load(workspace, "later").rows == two.rows


def test_a_script_compares_saves_and_shares(
    tmp_path: Path, two: Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [str(row.run.id) for row in two.rows]
    html, table = tmp_path / "a.html", tmp_path / "a.csv"
    assert cli(["memory", "compare", *ids, "--save", "kv", "--html", str(html), "--csv", str(table), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["name"] == "kv"
    assert [row["label"] for row in data["rows"]] == ["A KV 16 bit", "B KV 8 bit"]
    peak = data["rows"][1]["figures"]["gpu_peak"]
    assert (peak["kind"], peak["difference"], peak["difference_percent"]) == ("measured", -2.5 * 2**30, -31.25)
    assert data["rows"][1]["gpu"]["values"][3:6] == [None] * 3
    assert html.read_text().startswith("<!doctype html>")
    assert table.read_bytes().startswith(b"\xef\xbb\xbfrun,job")
    assert cli(["memory", "compare", "--saved", "kv"]) == 0
    assert "GPU memory, peak: 5.5 GiB  −2.5 GiB · −31%  (measured: " in capsys.readouterr().out
    assert cli(["memory", "comparisons", "--rename", "kv", "kv 8", "--json"]) == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == ["kv 8"]
    assert cli(["memory", "comparisons", "--delete", "kv 8"]) == 0
    assert capsys.readouterr().out == "No comparison was saved yet.\n"


def test_a_script_is_told_what_is_wrong(two: Comparison, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = [str(row.run.id) for row in two.rows]
    for args, code in (
        ([ids[0]], "memory_runs_count"),
        ([*ids, "9999"], "job_unknown"),
        (["--saved", "x"], "memory_comparison_unknown"),
        ([*ids, "--saved", "x"], "usage"),
        ([*ids, "--html", str(tmp_path / "no" / "folder.html")], "workspace_bad"),
        ([*ids, "--save", "../x"], "memory_comparison_name_bad"),
    ):
        assert cli(["memory", "compare", *args, "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["error"]["code"] == code
