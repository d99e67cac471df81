"""Question sets: what is here, what a folder or file holds before it is added, questions out of a dataset, and their end."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from streamlit.testing.v1 import AppTest

from backend.evaluate import sets
from backend.workspace import Workspace
from tests.pages.test_evaluate import address, off, open_page, press, sound
from tests.support import datasets
from tests.support.page_text import labels, text
from ui.evaluate import bring as evaluate_bring
from ui.evaluate import state as evaluate_state


def write_ceval(where: Path, *, bad: bool = False) -> Path:
    """Two subjects in the layout of C-Eval; ``bad``: one has no questions file, and the other is in GB18030."""
    for split in ("dev", "val", "test"):
        (where / split).mkdir(parents=True)
        for subject in ("law", "physician"):
            if bad and (split, subject) == ("val", "physician"):
                continue
            rows = ["id,question,A,B,C,D,answer,explanation"]
            rows += [f"{n},{subject} 第{n}题,甲,乙,丙,丁,B,无" for n in range(3)]
            text = "\n".join(rows) + "\n"
            (where / split / f"{subject}_{split}.csv").write_bytes(text.encode("gb18030" if bad else "utf-8"))
    return where


def look(path: Path | str) -> AppTest:
    """The page as it shows what lies at ``path``."""
    return open_page(view="sets", path=str(path))


def seen(app: AppTest) -> str:
    """All that is read, also what is written literally."""
    return text(app) + "\n" + "\n".join(str(element.value) for element in app.text)


def test_the_bundled_set_is_there_and_leads_to_its_evaluation(workspace: Workspace) -> None:
    app = open_page(view="sets")
    told = text(app)
    assert "**Bundled questions, English and Chinese**" in told
    assert "120 questions · 12 subjects" in told
    assert "There is no dataset yet." in told
    assert "Remove" not in labels(app)
    press(app, "Evaluate a model on it")
    assert address(app) == {"view": "run", "set": "bundled"}
    assert "What will happen" in text(app)


def test_questions_of_a_set_are_looked_at_with_their_solutions(workspace: Workspace) -> None:
    app = open_page(view="sets")
    app.session_state[f"evaluate_set_{evaluate_state.key_of('bundled')}_fold"] = True
    app.run()
    told = seen(app)
    assert told.count("multiple choice: the letter counts") == 5
    assert "is the capital of which country?" in told


def test_a_folder_is_looked_at_before_it_is_added(workspace: Workspace, tmp_path: Path) -> None:
    app = look(write_ceval(tmp_path / "formal_ceval"))
    told = text(app)
    assert "C-Eval · 6 questions · 2 subjects" in told
    assert "C-Eval has 52 subjects; 50 of them are not here" in told
    assert "The folder stays where it is" in told
    assert sets.listed(workspace)[1:] == [], "nothing is added yet"
    press(app, "Add 'ceval'")
    (found,) = sets.listed(workspace)[1:]
    assert (found.name, found.kind, found.questions) == ("ceval", "ceval", 6)
    assert address(app) == {"view": "sets"}
    assert "**C-Eval**" in text(app)


def test_everything_that_is_wrong_with_a_folder_is_told_at_once(workspace: Workspace, tmp_path: Path) -> None:
    app = look(write_ceval(tmp_path / "formal_ceval", bad=True))
    told = text(app)
    assert "val/physician\\_val.csv is missing." in told
    assert "GB18030" in told
    press(app, "Add 'ceval'")
    assert sets.get(workspace, "ceval").questions == 3


def test_an_upload_is_removed_once_it_is_added(workspace: Workspace, tmp_path: Path) -> None:
    folder = write_ceval(tmp_path / "ceval")
    place = workspace.uploads / "abc"
    place.mkdir(parents=True)
    with zipfile.ZipFile(place / "ceval.zip", "w") as packed:
        for file in sorted(folder.rglob("*.csv")):
            packed.write(file, str(file.relative_to(folder)))
    app = look(place / "ceval.zip")
    assert "The archive is unpacked into the workspace." in text(app)
    press(app, "Add 'ceval'")
    assert sets.get(workspace, "ceval").questions == 6
    assert not place.exists()


def test_a_file_of_ones_own_shows_three_questions_and_what_is_left_out(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"question": f"What is {n} plus {n}?", "answer": str(2 * n)} for n in range(5)] + [{"question": "Why?"}]
    path = tmp_path / "sums.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    app = look(path)
    told = seen(app)
    assert "5 questions · 1 subject" in told
    assert "Rows without a solution: 1; the first is row 6." in told
    assert [f"What is {n} plus {n}?" in told for n in range(4)] == [True, True, True, False]
    press(app, "Add 'sums'")
    assert sets.get(workspace, "sums").questions == 5


def test_a_name_that_is_taken_is_said_and_the_file_is_still_looked_at(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "sums.csv"
    path.write_text("question,answer\nWhat is 1 plus 1?,2\n")
    press(look(path), "Add 'sums'")
    app = look(path)
    assert "Add 'sums-2'" in labels(app), "a free name is proposed"
    field = next(each for each in app.text_input if str(each.key).startswith(evaluate_bring.NAME))
    field.set_value("sums").run()
    press(app, "Add 'sums'")
    assert "There is already a set of questions called 'sums'." in text(app)
    assert address(app)["path"] == str(path)


def test_a_path_that_holds_nothing_is_told(workspace: Workspace) -> None:
    app = open_page(view="sets")
    for path in ("/nowhere/at/all", "a\0b", "~no-such-person/x", "/dev/null"):
        app.query_params["path"] = path
        sound(app.run())
        assert ":red[:material/error:]" in text(app), path
        assert not [label for label in labels(app) if label.startswith("Add")]
    press(app, "Another one")
    assert "Add questions" in text(app)


def test_a_dataset_becomes_questions_by_the_rule_that_is_chosen(workspace: Workspace) -> None:
    datasets.keep(workspace, "sums", datasets.sums(6))
    app = open_page(view="sets")
    press(app, "Make questions of it")
    assert address(app)["dataset"] == "sums"
    assert "None of the 6 rows is a question that can be asked." in text(app), "they have no options"
    app.radio(key="evaluate_rule").set_value("contains").run()
    told = seen(app)
    assert "6 questions" in told
    assert "What is 2 plus 2?" in told
    assert "2 plus 2 makes 4." in told
    assert "contains: the solution occurs in the answer" in told
    press(app, "Add 'sums'")
    found = sets.get(workspace, "sums")
    assert (found.kind, found.questions) == ("own", 6)
    assert {question.rule for question in sets.questions(workspace, "sums")} == {"contains"}


def test_a_held_out_part_is_proposed_where_there_is_one(workspace: Workspace) -> None:
    rows = [datasets.row(f"Q{n}?", f"A{n}", split="test" if n < 2 else "train") for n in range(6)]
    datasets.keep(workspace, "parts", rows)
    app = open_page(view="sets", dataset="parts")
    app.radio(key="evaluate_rule").set_value("exact").run()
    assert app.segmented_control(key="evaluate_split").value == "test"
    assert "2 questions" in text(app)


def test_a_dataset_that_is_not_there_is_told(workspace: Workspace) -> None:
    assert ":red[:material/error:]" in text(open_page(view="sets", dataset="gone"))


def test_a_set_is_removed_after_asking_and_its_folder_stays(workspace: Workspace, tmp_path: Path) -> None:
    where = write_ceval(tmp_path / "formal_ceval")
    sets.add(workspace, where, "ceval")
    app = open_page(view="sets")
    assert "Its folder stays as it is" in text(app)
    press(app, "Remove C-Eval")
    assert [found.name for found in sets.listed(workspace)] == ["bundled"]
    assert (where / "val" / "law_val.csv").is_file()


def test_a_damaged_set_is_told_and_can_be_removed(workspace: Workspace, tmp_path: Path) -> None:
    sets.add(workspace, write_ceval(tmp_path / "formal_ceval"), "ceval")
    (workspace.question_sets / "ceval" / "set.json").write_text("{")
    app = open_page(view="sets")
    assert "What is kept of the set of questions 'ceval' is damaged." in text(app)
    assert not off(app, "Remove ceval")
    press(app, "Remove ceval")
    assert "ceval" not in text(app).replace("formal_ceval", "")
