"""Chat templates of well-known model families, to be offered for a tokenizer that has none.

Each is Jinja as transformers renders it (trim_blocks, lstrip_blocks; ``messages``, ``add_generation_prompt``,
``bos_token``, ``eos_token``) and yields the layout that the family's own models were trained with. A base model has
learned none of them: a template makes it take conversations, and only fine-tuning makes it hold them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class KnownTemplate:
    """key: stable identifier. label: the family's name. template: Jinja. needs: tokens that the tokenizer should have as
    single tokens. ends: those that end an answer (``eos_token_id`` must hold one of them, or it never stops)."""

    key: str
    label: str
    template: str
    needs: tuple[str, ...]
    ends: tuple[str, ...]


_CHATML_TURNS = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
# Families without a system role put its text before the first question.
_SYSTEM_INTO_FIRST = (
    "{%- if messages and messages[0]['role'] == 'system' %}"
    "{%- set first = messages[0]['content'] | trim + '\\n\\n' %}{%- set turns = messages[1:] %}"
    "{%- else %}{%- set first = '' %}{%- set turns = messages %}{%- endif %}"
)


def known_template(key: object) -> KnownTemplate | None:
    """The template called ``key``; None where there is none of that name."""
    return next((template for template in known_templates() if template.key == key), None)


@cache
def known_templates() -> tuple[KnownTemplate, ...]:
    """The templates, the most common one first."""
    return (
        KnownTemplate(
            "chatml", "ChatML (Qwen, Yi, Hermes)", _CHATML_TURNS, ("<|im_start|>", "<|im_end|>"), ("<|im_end|>",)
        ),
        KnownTemplate(
            "llama3",
            "Llama 3",
            "{{- bos_token }}{%- for message in messages %}"
            "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}"
            "{{- message['content'] | trim + '<|eot_id|>' }}"
            "{%- endfor %}"
            "{%- if add_generation_prompt %}"
            "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"
            "{%- endif %}",
            ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
            ("<|eot_id|>",),
        ),
        KnownTemplate(
            "gemma",
            "Gemma",
            "{{- bos_token }}" + _SYSTEM_INTO_FIRST + "{%- for message in turns %}"
            "{%- set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
            "{{- '<start_of_turn>' + role + '\\n' + (first if loop.first else '') }}"
            "{{- message['content'] | trim + '<end_of_turn>\\n' }}"
            "{%- endfor %}"
            "{%- if add_generation_prompt %}{{- '<start_of_turn>model\\n' }}{%- endif %}",
            ("<start_of_turn>", "<end_of_turn>"),
            ("<end_of_turn>",),
        ),
        KnownTemplate(
            "mistral",
            "Mistral Instruct",
            "{{- bos_token }}" + _SYSTEM_INTO_FIRST + "{%- for message in turns %}"
            "{%- if message['role'] == 'assistant' %}{{- ' ' + message['content'] | trim + eos_token }}"
            "{%- else %}{{- '[INST] ' + (first if loop.first else '') + message['content'] | trim + ' [/INST]' }}"
            "{%- endif %}"
            "{%- endfor %}",
            ("[INST]", "[/INST]"),
            ("</s>",),
        ),
        KnownTemplate(
            "internlm2",
            "InternLM2",
            "{{- bos_token }}" + _CHATML_TURNS,
            ("<|im_start|>", "<|im_end|>"),
            ("<|im_end|>",),
        ),
    )
