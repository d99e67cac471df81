"""The prompt library: texts with places to fill in, kept in the workspace, and what is wrong with one said by line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backend import i18n
from backend.chat.conversations import Conversations
from backend.chat.prompts import Prompt, Prompts, examples, fill, variables
from backend.errors import ConflictError, NotFoundError
from backend.workspace import Workspace


@pytest.fixture
def prompts(workspace: Workspace) -> Iterator[Prompts]:
    opened = Conversations(workspace)
    yield Prompts(opened)
    opened.close()


def test_each_variable_is_asked_for_once_in_the_order_of_the_text() -> None:
    text = "Translate {{ text }} into {{语言}}, then {{text}} again: {not one} {}"
    assert variables(text) == ["text", "语言"]
    assert fill(text, {"text": "{{语言}}", "语言": "\\1 中文"}) == (
        "Translate {{语言}} into \\1 中文, then {{语言}} again: {not one} {}"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("one\ntwo {{name", "In line 2 stands {{ without its other half."),
        ("a }} b", "In line 1 stands }} without its other half."),
        ("{{a}} {{ {{b}}", "In line 1 stands {{ without its other half."),
        ("a\n\n{{ }}", "In line 3 stands {{ }} without a name in it."),
        ("{{}}", "In line 1 stands {{}} without a name in it."),
        ("{{" + "x" * 61 + "}}", "a name of 61 characters; 60 are allowed."),
    ],
)
def test_what_is_wrong_with_the_braces_is_said_with_the_line(prompts: Prompts, text: str, says: str) -> None:
    with pytest.raises(ConflictError) as caught:
        prompts.save("Name", text)
    assert says in str(caught.value)
    assert caught.value.localized()[1]
    assert prompts.list() == []


def test_prompts_are_kept_changed_renamed_and_deleted_for_everybody(prompts: Prompts, workspace: Workspace) -> None:
    b = prompts.save("  b  prompt ", "Hello {{name}}")
    a = prompts.save("A prompt", "x")
    elsewhere = Conversations(workspace)
    assert [p.name for p in Prompts(elsewhere).list()] == ["A prompt", "b prompt"]
    elsewhere.close()
    assert prompts.save("Z", "Bye {{name}}", b) == b
    assert prompts.list() == [Prompt(a, "A prompt", "x"), Prompt(b, "Z", "Bye {{name}}")]
    prompts.delete(a)
    prompts.delete(a)
    assert [p.id for p in prompts.list()] == [b]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [(" ", "x", "needs a name"), ("x", " \n", "needs a text"), ("taken", "x", "already a prompt called 'taken'")],
)
def test_a_prompt_without_a_name_of_its_own_and_a_text_is_refused(
    prompts: Prompts, name: str, text: str, says: str
) -> None:
    prompts.save("taken", "text")
    other = prompts.save("other", "text")
    for target in (0, other):
        with pytest.raises(ConflictError, match=says):
            prompts.save(name, text, target)
    assert [p.text for p in prompts.list()] == ["text", "text"]


def test_a_prompt_that_another_tab_deleted_is_not_saved_silently(prompts: Prompts) -> None:
    gone = prompts.save("a", "x")
    prompts.delete(gone)
    with pytest.raises(NotFoundError, match="deleted in another tab"):
        prompts.save("a", "y", gone)
    assert prompts.list() == []


@pytest.mark.parametrize("language", ["en", "zh_CN"])
def test_every_example_can_be_used_in_both_languages(prompts: Prompts, language: str) -> None:
    i18n.use(language)
    for example in examples():
        names = variables(example.text)
        assert names
        filled = fill(example.text, dict.fromkeys(names, "X"))
        assert "{" not in filled
        assert prompts.save(example.name, example.text)
