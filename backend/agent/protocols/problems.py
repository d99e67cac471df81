"""What goes wrong when a model is to call tools: each with what it did, what was expected, the piece that shows it,
what helps.

``did`` and ``expected`` are English templates; a value of ``params`` is a name or a piece of the reply, never a
sentence.
"""

from __future__ import annotations

from collections.abc import Sequence

from backend.agent.calls import PROTOCOLS, Call, Problem, Protocol
from backend.i18n import N_

MOST = 400
"""Characters of evidence."""
FORM_NAMES: dict[Protocol, str] = {
    "openai": "openai (tool_calls)",
    "react": "react (Action: …)",
    "internlm2": "internlm2 (<|action_start|>)",
}
assert FORM_NAMES.keys() == set(PROTOCOLS)


class Wrong(Exception):
    """A reply, or a call in it, that cannot be understood."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def piece(text: str, most: int = MOST) -> str:
    """``text`` as evidence: at most ``most`` characters, cut in the middle."""
    text = text[: most * 4].strip() if len(text) <= most * 4 else f"{text[:most].strip()} … {text[-most:].strip()}"
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-most // 2 :]}"


def empty_reply(thought: str = "") -> Problem:
    if thought:
        return Problem(
            "empty_reply",
            N_("The model thought and then said nothing."),
            N_("A call of a tool or an answer after its thoughts."),
            piece(thought),
            ("try_again", "longer_context", "other_template"),
        )
    return Problem(
        "empty_reply",
        N_("The model said nothing."),
        N_("A call of a tool or an answer."),
        helps=("try_again", "other_template"),
    )


def no_call_made(asked: Protocol, evidence: str) -> Problem:
    return Problem(
        "no_call_made",
        N_("The model says that it uses a tool, and calls none."),
        N_("A call in the form {form}."),
        piece(evidence),
        ("more_examples", "other_protocol", "finetune", "try_again"),
        {"form": FORM_NAMES[asked]},
    )


def form_ignored(asked: Protocol, evidence: str) -> Problem:
    return Problem(
        "form_ignored",
        N_("The model answered in plain words, not in the form that it was asked for."),
        N_("A reply in the form {form}: a call, or an answer marked as final."),
        piece(evidence),
        ("more_examples", "other_protocol", "finetune"),
        {"form": FORM_NAMES[asked]},
    )


def bad_arguments(tool: str, faults: Sequence[str], evidence: str) -> Problem:
    """faults: as the schema's own words name them, such as ``year: integer``."""
    return Problem(
        "bad_arguments",
        N_("The arguments for {tool} do not fit: {faults}."),
        N_("Arguments as the tool describes them."),
        piece(evidence),
        ("repair", "more_examples", "try_again", "finetune"),
        {"tool": tool, "faults": "; ".join(faults)[:MOST]},
    )


def broken_json(tool: str, evidence: str) -> Problem:
    return Problem(
        "broken_json",
        N_("The call of {tool} is no JSON that can be read."),
        N_("A JSON object with the names of the arguments and their values."),
        piece(evidence),
        ("repair", "try_again", "more_examples", "finetune"),
        {"tool": tool or "?"},
    )


def unknown_tool(name: str, close: str, evidence: str) -> Problem:
    helps = ("more_examples", "other_tool", "try_again")
    if close:
        return Problem(
            "unknown_tool",
            N_("The model called {tool}, which is not among its tools."),
            N_("One of the tools that it was given; the name nearest to it is {close}."),
            piece(evidence),
            ("repair", *helps),
            {"tool": name[:100], "close": close},
        )
    return Problem(
        "unknown_tool",
        N_("The model called {tool}, which is not among its tools."),
        N_("One of the tools that it was given."),
        piece(evidence),
        helps,
        {"tool": name[:100]},
    )


def tool_off(name: str, evidence: str) -> Problem:
    return Problem(
        "tool_off",
        N_("The model called {tool}, which is switched off."),
        N_("A tool that is switched on; or switch {tool} on."),
        piece(evidence),
        ("other_tool", "try_again"),
        {"tool": name},
    )


def call_in_answer(name: str, evidence: str) -> Problem:
    return Problem(
        "call_in_answer",
        N_("A call of {tool} stands in the middle of the answer; it was not made."),
        N_("A call alone, or an answer without one."),
        piece(evidence),
        ("other_protocol", "more_examples", "try_again"),
        {"tool": name},
    )


def stripped_tokens(evidence: str) -> Problem:
    return Problem(
        "stripped_tokens",
        N_("The call came without its special tokens: the server leaves them out of replies."),
        N_("<|action_start|><|plugin|> before the call and <|action_end|> after it."),
        piece(evidence),
        ("repair", "other_protocol", "other_template"),
    )


def made_up_result(evidence: str) -> Problem:
    return Problem(
        "made_up_result",
        N_("The model wrote the result of the tool itself."),
        N_("A stop after the call: results come from the tool."),
        piece(evidence),
        ("repair", "more_examples", "other_protocol", "finetune"),
    )


def repeats(evidence: str) -> Problem:
    return Problem(
        "repeats",
        N_("The model repeats the same words without end."),
        N_("A call or an answer that ends."),
        piece(evidence),
        ("try_again", "other_template", "finetune"),
    )


def cut_off(evidence: str) -> Problem:
    return Problem(
        "cut_off",
        N_("The reply ends in the middle: the limit of tokens was reached."),
        N_("A whole reply. Allow more tokens for a reply, or a longer context."),
        piece(evidence),
        ("longer_context", "try_again"),
    )


def several_calls(count: int, read: str, evidence: str) -> Problem:
    return Problem(
        "several_calls",
        N_("The model made {count} calls in one reply; only the first, of {tool}, is read."),
        N_("One call in a reply: the next can then use its result."),
        piece(evidence),
        ("other_protocol", "more_examples"),
        {"count": count, "tool": read},
    )


def other_protocol(asked: Protocol, used: Protocol, evidence: str) -> Problem:
    return Problem(
        "other_protocol",
        N_("The model called a tool in the form {used}."),
        N_("The form {form}, for which it was asked; or ask for the one that it uses."),
        piece(evidence),
        ("other_protocol", "more_examples", "finetune"),
        {"used": FORM_NAMES[used], "form": FORM_NAMES[asked], "protocol": used},
    )


def tools_not_seen(evidence: str) -> Problem:
    return Problem(
        "tools_not_seen",
        N_("The model does not know of the tools: its chat template leaves them out."),
        N_("A template that knows tools; or the form react, which needs none."),
        piece(evidence),
        ("other_protocol", "other_template"),
    )


def needs_repair(slip: str, before: str, tool: str) -> Problem:
    """A call that was nearly right, while nothing is to be repaired."""
    return Problem(
        "needs_repair",
        N_("The call of {tool} is nearly right ({slip}), and repairs are switched off."),
        N_("A call in exactly the form that was asked for; or switch repairs on."),
        piece(before),
        ("repair", "more_examples", "finetune"),
        {"tool": tool, "slip": slip},
    )


def same_call_again(call: Call, times: int, evidence: str) -> Problem:
    return Problem(
        "same_call_again",
        N_("The model has made the same call of {tool} {times} times."),
        N_("Another call, or an answer from what the tool has said."),
        piece(evidence),
        ("try_again", "more_examples", "other_tool"),
        {"tool": call.name, "times": times},
    )
