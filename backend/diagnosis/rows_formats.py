"""What a model is written in: tokenizers, chat templates, quantization; and adapters on top of it."""

from __future__ import annotations

from backend.diagnosis import fixes as F
from backend.diagnosis.row import Row, spec, text
from backend.i18n import N_

ROWS = (
    Row(
        "tokenizer_too_new",
        (
            "…data did not match any variant of untagged enum",
            "…Tokenizer class <name:name> does not exist or is not currently imported",
            "…unknown variant `<kind:quoted>`, expected one of",
        ),
        N_("The tokenizer was saved by a newer version of transformers than the one that reads it here."),
        (
            text(
                N_("Evaluate it through a running model server instead: then the engine need not read the tokenizer.")
            ),
            F.NEWER_ENGINE,
            text(N_("Or take the tokenizer files of the base model, where they are unchanged.")),
        ),
        weight=1,
    ),
    Row(
        "chat_template_missing",
        (
            "…tokenizer.chat_template is not set",
            "…chat_template is not found",
            "…chat_template is missing",
            "…chat_template is not set",
            "…No chat template is set for",
        ),
        N_(
            "The tokenizer of this model has no chat template, so that nobody knows how a conversation is written for it."
        ),
        (F.SET_TEMPLATE, text(N_("Base models have none: choose the model that was tuned for chat (Instruct, Chat)."))),
        weight=1,
        server="engine_chat_template_bad",
    ),
    Row(
        "chat_template_bad",
        (
            "…chat template '<template:quoted>' is not",
            "…apply_chat_template failed",
            "…Unknown chat template",
            "…TemplateSyntaxError",
            "…jinja2.exceptions.UndefinedError",
            "UndefinedError: ",
        ),
        N_("The chat template has a fault, or does not fit this model."),
        (F.OWN_TEMPLATE, F.SET_TEMPLATE),
        server="engine_chat_template_bad",
    ),
    Row(
        "roles_must_alternate",
        (
            "…Conversation roles must alternate",
            "…roles must alternate user/assistant",
            "…System role not supported",
            "…After the optional system message, conversation roles must",
        ),
        N_("The chat template of this model wants question and answer in turn; the conversation has it otherwise."),
        (
            F.DATA_DOCTOR,
            text(
                N_(
                    "Leave out the system prompt, or put it in front of the first question; some models know no system role."
                )
            ),
        ),
        weight=1,
    ),
    Row(
        "quantization_unknown",
        (
            "…Unsupported quantization",
            "…Unsupported quant",
            "…Unsupported group_size",
            "…mismatched quant",
            "…unknown model_format",
            "…Unsupported weight quantization",
            "…compressed-tensors only supports",
            "…pack-quantized requires",
            "ValueError: Unknown quantization type",
            "ValueError: Unknown quantization method",
            "…only supports pack-quantized",
        ),
        N_("The engine does not know the way in which this model is quantized."),
        (
            spec("model_format", N_("Leave the weight format on auto."), "auto"),
            spec("backend", N_("Choose the PyTorch core."), "pytorch"),
            text(N_("Serve the model before it was quantized, or quantize it in another format.")),
        ),
        server="engine_quantization_unknown",
    ),
    Row(
        "adapter_targets_missing",
        (
            "…Target modules <targets:rest> not found in the base model",
            "…Target module…not found",
            "…Target modules…not found",
        ),
        N_("The layers that the adapter is to change have other names in this model."),
        (
            spec("target_modules", N_("Change all linear layers (all-linear)."), ["all-linear"]),
            F.OTHER_BASE,
        ),
        weight=2,
        server="engine_adapter_bad",
    ),
    Row(
        "adapter_bad",
        (
            "…Can't find 'adapter_config.json' at '<path:quoted>'",
            "…<Adapter> check failed",
            "…No such file or directory: '<path:quoted>/adapter_config.json'",
            "…Invalid lora",
        ),
        N_("The adapter cannot be used: its folder is not complete, or it was made for another model."),
        (spec("adapters", N_("Start without the adapter.")), F.OTHER_BASE),
        told=N_("There is no adapter in {path}: the file adapter_config.json is missing."),
        weight=2,
        server="engine_adapter_bad",
    ),
    Row(
        "adapter_size_mismatch",
        ("…size mismatch for <layer:name>lora_A", "…size mismatch for <layer:name>lora_B"),
        N_("The adapter was made with another rank, or for a model of another size."),
        (F.OTHER_BASE, spec("lora_rank", N_("Use the rank with which the adapter was made."))),
        weight=2,
        server="engine_adapter_bad",
    ),
    Row(
        "context_too_long",
        (
            "…This model's maximum context length is <most:num> tokens",
            "…longer than the maximum model length",
            "…exceeds the maximum context length",
        ),
        N_("The text is longer than the context length of the model or of its server."),
        (
            F.SHORTER_CONTEXT,
            F.SHORTER,
            text(N_("Send less of the conversation, or start the server with a longer context length.")),
        ),
        told=N_("The text is longer than the {most} tokens that the model or its server takes."),
    ),
)
