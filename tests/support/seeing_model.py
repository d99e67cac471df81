"""A LLaVA small enough to be made in a test: random weights, but real pictures through a real image processor. What it
says is nonsense, and the nonsense depends on the picture."""

from __future__ import annotations

import io
from pathlib import Path

IMAGE_TOKENS = 4
"""A picture of 28 x 28 pixels in patches of 14."""
WORDS = ["<s>", "</s>", "<unk>", "<image>", "user", "assistant", "what", "is", "this", "?", ":", "红", "猫"]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ m['role'] }}: {% for p in m['content'] %}"
    "{% if p['type'] == 'image' %}<image> {% else %}{{ p['text'] }} {% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def build(folder: Path) -> Path:
    """Write the model into ``folder`` and return it."""
    import torch
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    inner = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.decoder = decoders.Fuse()
    inner.add_special_tokens([AddedToken(word, special=True) for word in WORDS[:4]])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>"
    )
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        chat_template=TEMPLATE,
        image_token="<image>",
        num_additional_image_tokens=1,
    )
    small = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "initializer_range": 1.0}
    vision = CLIPVisionConfig(**small, num_hidden_layers=2, image_size=28, patch_size=14, projection_dim=16)
    text = LlamaConfig(
        **small, num_hidden_layers=1, num_key_value_heads=2, vocab_size=len(WORDS), max_position_embeddings=256
    )
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(LlavaConfig(vision_config=vision, text_config=text, image_token_index=3))
    model.generation_config.eos_token_id = 1
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def picture(colour: str, size: tuple[int, int] = (40, 30)) -> bytes:
    """A PNG of one colour."""
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()
