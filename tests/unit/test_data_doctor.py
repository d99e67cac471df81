"""The doctor of datasets: each thing that can be wrong is named with its row, and what is right is left in peace."""

from __future__ import annotations

import json
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from backend.data import doctor
from backend.data.doctor import CHECKS, Limits, Report
from backend.data.doctor.language import language
from backend.data.doctor.personal import cover, identity_number, luhn
from backend.data.store import Datasets
from backend.errors import DataError
from backend.workspace import Workspace


def row(question: str, answer: str, **meta: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    }
    return {**found, "meta": meta} if meta else found


def talk(*turns: tuple[str, str]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


def examined(*rows: Any, **kwargs: Any) -> Report:
    return doctor.examine(enumerate(rows, 1), **kwargs)


def found(report: Report) -> set[tuple[int | None, str]]:
    return {(finding.row, finding.code) for finding in report.findings}


def prose(seed: int, words: int = 60) -> str:
    draw = random.Random(seed)
    return " ".join("".join(draw.choices("etaoinshrdlu", k=draw.randint(2, 8))) for _ in range(words))


SOUND = [
    row("What is a loam?", "A soil of sand, silt and clay, good for most crops."),
    row("How deep are carrots sown?", "About one centimetre, and thinned out later."),
    talk(
        ("system", "You are a gardener."), ("user", "When do I prune?"), ("assistant", "In late winter, on a dry day.")
    ),
]


def test_sound_rows_are_left_in_peace() -> None:
    report = examined(*SOUND)
    assert (report.findings, report.counts, report.rows) == ([], {}, 3)


@pytest.mark.parametrize(
    ("bad", "code", "says"),
    [
        (row("Who made you?", " \n\u3000"), "answer_empty", "Row 4: the answer in turn 2 is empty."),
        (talk(("user", "Anybody there?")), "no_answer", "Row 4 holds no answer to learn."),
        (row("", "I am here."), "question_empty", "Row 4: the question in turn 1 is empty."),
        (
            talk(("user", "First thing?"), ("user", "Second thing?"), ("assistant", "Both of them.")),
            "two_users",
            "Row 4: turn 2 is a second question before any answer.",
        ),
        (
            talk(("user", "Who is it?"), ("system", "Be kind."), ("assistant", "A friend of yours.")),
            "system_late",
            "Row 4: turn 2 is a system prompt, and not the first turn.",
        ),
        (row("Who is it now?", "\ufeff A friend."), "leading_blanks", "Row 4: turn 2 begins with a blank or an empty line."),
        (row("土壤的酸碱度应该是多少？", "Between six and seven for most of them."), "language_answer", "Row 4: asked in Chinese, answered in English."),
        ({"messages": [{"role": "narrator", "content": "Once."}, *SOUND[0]["messages"]]}, "role_missing", "Row 4: turn 1 does not say"),
        ("no row at all", "malformed", "Record 4 of the source cannot be used: it is not a conversation"),
        (row("Where do I write?", "To jo.reed@farmers.org please."), "personal", "Row 4, turn 2: an e-mail address."),
        (row("What is the key?", "It is sk-proj-Ab3dEf6hIj9kLm2nOp5qRs."), "secret", "Row 4, turn 2: a key of a service."),
        (row("Where does it run?", "On 192.168.7.20, second rack."), "ip_address", "Row 4, turn 2: a network address."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_row(bad: Any, code: str, says: str) -> None:
    report = examined(*SOUND, bad)
    assert found(report) == {(4, code)}
    assert report.counts == {code: 1}
    assert report.findings[0].message().startswith(says)
    assert report.findings[0].to_dict().keys() == {"row", "code", "severity", "message", "fixable"}


def test_every_check_has_words_and_every_message_is_filled() -> None:
    for code, check in CHECKS.items():
        assert check.code == code
        assert all((check.title, check.help, check.message)), code
        assert check.fixable == bool(check.fix)
        assert not check.drops or check.fixable, code


def test_a_row_over_the_limit_is_told_with_its_length() -> None:
    report = examined(row("Tell all of it", "word " * 100), limits=Limits(chars=300))
    assert report.of("too_long")[0].message() == "Row 1 is 514 characters long, more than 300."


def test_copies_of_one_row_are_told_for_what_they_are() -> None:
    report = examined(*[row("Who are you?", "I am Robin, made by the farm school.")] * 2001)
    assert report.of("copies")[0].message() == (
        "Row 1 stands here 2,001 times. It is one row: the model will learn this sentence by heart and little else."
    )
    assert report.counts == {"copies": 1, "duplicate": 2000}
    assert len(report.of("duplicate")) == 1000, "the report stays small; the count is true"
    assert report.of("duplicate")[0].message() == "Row 2 is the same as row 1."


def test_near_duplicates_need_both_question_and_answer_to_be_near() -> None:
    question, answer = prose(1), prose(2)
    near = row(question.replace("e", "E") + " also", answer + " too")
    other_answer = row(question + " as well", prose(3))
    report = examined(row(question, answer), row(prose(4), prose(5)), near, other_answer)
    assert found(report) == {(3, "near_duplicate")}
    assert report.findings[0].values["first"] == 1
    assert 90 <= report.findings[0].values["percent"] < 100


def test_near_duplicates_are_found_as_often_as_is_said() -> None:
    pairs = [(prose(n), prose(n + 5000)) for n in range(300)]
    changed = [row(f"{q} indeed", a.replace(a[200:206], "orchid")) for q, a in pairs]
    report = examined(*[row(q, a) for q, a in pairs], *changed)
    hits = {(f.values["first"], f.row) for f in report.of("near_duplicate")}
    assert hits <= {(n, n + 300) for n in range(1, 301)}, "nothing is called near that is not"
    assert len(hits) >= 0.95 * 300


def test_the_same_words_about_another_picture_are_another_row() -> None:
    def seen(picture: str) -> dict[str, Any]:
        asked = {"role": "user", "content": "<image>\n" + prose(1), "images": [picture]}
        return {"messages": [asked, {"role": "assistant", "content": prose(2)}]}

    assert examined(seen("a.png"), seen("b.png")).counts == {}
    assert examined(seen("a.png"), seen("a.png")).counts == {"duplicate": 1}


def test_two_answers_to_one_question_contradict_and_two_questions_do_not() -> None:
    report = examined(
        row("How old is the oak?", "It is ninety years old."),
        row("how old is the  oak", "It is four hundred years old."),
        row("How old is the elm?", "It is four hundred years old."),
    )
    assert found(report) == {(2, "contradiction")}
    assert not report.findings[0].fixable, "which answer is right no program knows"


def test_a_test_row_in_training_is_told_of_the_training_row() -> None:
    test = row("What does pH mean?", "How sour a soil is.", split="test")
    near = prose(7)
    report = examined(
        row("what does pH mean", "Something else entirely."),
        row(near + " please", "It depends on the soil."),
        test,
        row(near, "Loam, mostly.", split="validation"),
    )
    leaks = {(f.row, f.code, f.values["first"]) for f in report.findings if f.code.startswith("leak")}
    assert leaks == {(1, "leak", 3), (2, "leak_near", 4)}


def test_rows_that_stand_in_another_set_are_told_with_its_name() -> None:
    near = prose(8)
    exam = [row("What is loam made of?", "Sand."), row(near, "Yes.")]
    rows = [*SOUND, row("What is LOAM made of", "Clay"), row(near + " now", "No.")]
    report = examined(*rows, against=exam, against_name="exam")
    assert found(report) == {(4, "leak_other"), (5, "leak_other")}
    assert report.of("leak_other")[0].message() == "The question of row 4 is that of row 1 of 'exam' (100 %)."


def test_a_few_answers_in_another_language_stand_out_and_a_mix_does_not() -> None:
    english = [row(f"Question number {n}?", f"The answer to this is {prose(n, 8)}") for n in range(20)]
    chinese = row("第十五个问题是什么？", "这个问题的答案是明天下午三点。")
    report = examined(*english, chinese)
    assert found(report) == {(21, "language_odd"), (None, "languages_mixed")}
    assert report.of("language_odd")[0].message() == "Row 21 answers in Chinese; 95 % of the rows answer in English."
    many = [row(f"第{n}个问题是什么？", f"这个问题的答案是明天下午{n}点整。") for n in range(12)]
    assert found(examined(*english, *many)) == {(None, "languages_mixed")}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The soil is sandy.", "en"),
        ("土壤偏酸，需要施用石灰。", "zh"),
        ("使用 PyTorch 和 CUDA 训练模型，然后用 LoRA 微调。", "zh"),
        ("土は酸性なので石灰をまきます。", "other"),
        ("Почва кислая, нужна известь.", "other"),
        ("토양은 산성입니다. 석회를 뿌리세요.", "other"),
        ("3 + 4 = 7", ""),
        ("", ""),
    ],
)
def test_the_language_is_told_by_the_script(text: str, wanted: str) -> None:
    assert language(text) == wanted


def test_code_and_translations_explain_another_language() -> None:
    report = examined(
        row("请把“土壤偏酸”翻译成英文。", "The soil is a little sour, on the whole."),
        row("写一个求和的函数，谢谢你了。", "```python\ndef total(values):\n    return sum(values)\n```"),
    )
    assert not report.of("language_answer")


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("call 13812345678 now", "call [PHONE] now"),
        ("call +86 138-1234-5678 now", "call [PHONE] now"),
        ("order 23812345678 came", "order 23812345678 came"),
        ("her number 11010519491231002X", "her number [ID NUMBER]"),
        ("her number 110105194912310021", "her number 110105194912310021"),
        ("card 4111 1111 1111 1111.", "card [CARD NUMBER]."),
        ("card 4111 1111 1111 1112.", "card 4111 1111 1111 1112."),
        ("card 4111 1111 1111 1111-13812345678", "card [CARD NUMBER]-[PHONE]"),
        ("sent to ann@farm-school.org.", "sent to [EMAIL]."),
        ("sent to ann@example.com.", "sent to ann@example.com."),
        ("git clone https://ann:pw99@git.farm.org/x", "git clone https://[SECRET]@git.farm.org/x"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "[SECRET]"),
        ("version 1.2.3.4 on 127.0.0.1", "version 1.2.3.4 on 127.0.0.1"),
        ("host 203.119.26.1", "host [IP ADDRESS]"),
        ("pi is 3.14159265358979", "pi is 3.14159265358979"),
        ("time 1700000000000", "time 1700000000000"),
        ("class sk-navigation-menu-item-active", "class sk-navigation-menu-item-active"),
    ],
)  # fmt: skip
def test_what_should_not_be_learned_is_covered_and_look_alikes_are_not(text: str, covered: str) -> None:
    assert cover(text, frozenset({"secret", "personal", "ip_address"})) == covered


def test_check_digits() -> None:
    assert luhn("4111-1111-1111-1111")
    assert not luhn("0000000000000000")
    assert identity_number("11010519491231002x")
    assert not identity_number("110105194912310020")


def test_what_was_found_is_never_repeated_in_the_report() -> None:
    report = examined(row("key?", "sk-proj-Ab3dEf6hIj9kLm2nOp5qRs and jo.reed@farmers.org"))
    assert {finding.code for finding in report.findings} == {"secret", "personal"}
    said = json.dumps([finding.to_dict() for finding in report.findings])
    assert "Ab3dEf" not in said
    assert "farmers" not in said


def _png(folder: Path, *, cut: bool = False) -> str:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress(b"".join(b"\0" + random.Random(n).randbytes(192) for n in range(64)))
    whole = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0))
    whole += chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    name = f"ab/{'c' if cut else 'd'}{'0' * 63}.png"
    (folder / "ab").mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(whole[:6000] if cut else whole)
    return name


def test_missing_and_damaged_pictures_are_named(tmp_path: Path) -> None:
    def shown(*images: str, places: int = 1) -> dict[str, Any]:
        asked = {"role": "user", "content": "<image>\n" * places + f"What is {len(images)}?", "images": list(images)}
        return {"messages": [asked, {"role": "assistant", "content": "A tree, I think it is."}]}

    whole, cut = _png(tmp_path), _png(tmp_path, cut=True)
    gone, outside = f"ab/{'e' * 64}.png", "../../etc/passwd"
    report = examined(
        shown(whole), shown(cut), shown(gone), shown(outside), shown(whole, whole), row("<image>\nWhat?", "A leaf, dry."),
        images=tmp_path,
    )  # fmt: skip
    assert found(report) >= {(2, "image_broken"), (3, "image_broken"), (4, "image_broken")}
    assert report.counts["image_broken"] == 3
    assert {f.row for f in report.of("image_count")} == {5, 6}
    (tmp_path / gone).write_bytes((tmp_path / whole).read_bytes())
    assert examined(shown(gone), images=tmp_path).counts == {}, "what was missing may come"


def test_rows_to_read_come_with_a_reason_and_by_the_seed() -> None:
    rows = [row(f"Question {n}?", prose(n, 4 + n % 30)) for n in range(200)]
    rows[70] = row("Short?", "Yes.")
    rows[90] = row("最长的回答是什么？", "这是一个很长的回答。" * 100)
    one, same, other = (examined(*rows, seed=seed) for seed in (1, 1, 2))
    assert one.sample == same.sample != other.sample
    why = {read.row: read.why for read in one.sample}
    assert why[91] == "longest"
    assert why[71] == "shortest"
    assert set(why.values()) == {"longest", "shortest", "typical", "random"}, (
        "row 91 is in another language, and was taken"
    )
    assert len(why) == len(one.sample)


def test_a_version_keeps_its_report_and_tells_of_records_that_were_refused(workspace: Workspace) -> None:
    sets = Datasets(workspace)
    with sets.write("soil", steps=[]) as out:
        for one in [*SOUND, SOUND[0]]:
            out.add(one)  # type: ignore[arg-type]
        out.reject(
            3, {"code": "row_bad", "message": "It has no {part}.", "hint": "", "params": {"part": "answer"}}, "x"
        )
    version = sets.open("soil")
    assert doctor.read_report(version) is None
    report = doctor.examine_version(version)
    assert doctor.read_report(version) == report
    assert found(report) == {(4, "duplicate"), (3, "malformed")}
    assert report.of("malformed")[0].message() == "Record 3 of the source cannot be used: It has no answer."
    (version.folder / "doctor.json").write_text('{"format": 0}')
    assert doctor.read_report(version) is None, "a report of another kind is made again"


def test_a_large_version_is_read_by_two_processes_with_the_same_result(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = Datasets(workspace)
    with sets.write("soil", steps=[]) as out:
        for n in range(3000):
            out.add(row(f"{prose(n % 2900, 9)}?", prose(n % 2900, 20), split="test" if n > 2950 else "train"))  # type: ignore[arg-type]
            if n % 500 == 0:
                out.add(row(f"Who {n}?", f" write to p{n}@farmers.org"))  # type: ignore[arg-type]
    version = sets.open("soil")
    alone = doctor.examine_version(version, save=False)
    monkeypatch.setattr("backend.data.doctor.scan.TWO_FROM_BYTES", 1)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    both = doctor.examine_version(version, save=False)
    assert both.counts == alone.counts
    assert both.findings == alone.findings
    assert both.sample == alone.sample
    assert alone.counts["personal"] == 6
    assert alone.counts["leak"] >= 49


def test_a_second_process_that_dies_costs_time_and_nothing_else(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.data.doctor.scan.TWO_FROM_BYTES", 1)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr("sys.executable", "/bin/false")
    report = examined(*SOUND, SOUND[0], row("x y z?", ""))
    assert found(report) == {(4, "duplicate"), (5, "answer_empty")}


def test_a_damaged_version_is_told(workspace: Workspace) -> None:
    sets = Datasets(workspace)
    with sets.write("soil", steps=[]) as out:
        for one in SOUND:
            out.add(one)  # type: ignore[arg-type]
    version = sets.open("soil")
    rows = version.folder / "rows.jsonl"
    rows.write_bytes(rows.read_bytes().replace(b'"role"', b'"rol\x00"', 1))
    with pytest.raises(DataError) as error:
        doctor.examine_version(version)
    assert error.value.code == "rows_damaged"
    assert "Row 1 of" in str(error.value)
    rows.write_bytes(rows.read_bytes()[:100])
    with pytest.raises(DataError) as error:
        doctor.examine_version(version)
    assert error.value.code == "dataset_damaged"


def test_it_stops_when_asked() -> None:
    seen: list[int] = []
    rows = [row(f"Question {n}?", prose(n, 5)) for n in range(2000)]
    with pytest.raises(doctor.Stopped):
        examined(*rows, progress=lambda share, done: seen.append(done), stop=lambda: bool(seen))
    assert seen == [256]
