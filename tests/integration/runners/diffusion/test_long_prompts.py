"""Prompts longer than the text encoder reads at once: every token acts, and nobody else notices."""

from __future__ import annotations

import pytest
import torch

from runners.diffusion.families.stable_diffusion.text import token_chunks
from tests.integration.runners.diffusion.denoising import denoise_alone, denoise_together, family_of
from tests.integration.runners.diffusion.requests import control, photo, request, run

pytestmark = pytest.mark.integration

CPU = torch.device("cpu")
WORD = "car"
LONG = " ".join(["car"] * 100)


def of_length(tokenizer, tokens, last=WORD):
    """A prompt of this many tokens."""
    words = [WORD]
    while len(tokenizer(" ".join([*words, last])).input_ids) - 2 < tokens:
        words.append(WORD)
    text = " ".join([*words, last])
    assert len(tokenizer(text).input_ids) - 2 == tokens
    return text


@pytest.fixture
def components(load):
    return load()


@pytest.mark.parametrize(("tokens", "chunks"), [(74, 1), (75, 1), (76, 2), (150, 2), (151, 3)])
def test_a_chunk_holds_75_tokens_between_a_start_and_an_end(components, tokens, chunks):
    tokenizer = components.pipe.tokenizer
    text = of_length(tokenizer, tokens)
    ids = token_chunks(tokenizer, text)
    assert [len(chunk) for chunk in ids] == [77] * chunks
    assert all(chunk[0] == tokenizer.bos_token_id and tokenizer.eos_token_id in chunk[1:] for chunk in ids)
    kept = [token for chunk in ids for token in chunk[1 : 1 + chunk[1:].index(tokenizer.eos_token_id)]]
    assert kept == tokenizer(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize("prompt", ["", "a red car", "replace the wheel rims"])
def test_a_prompt_that_fits_is_encoded_as_by_the_stock_pipeline(components, prompt):
    expected = components.pipe.encode_prompt(prompt, CPU, 1, False)[0]
    assert torch.equal(components.text.encode(prompt).states, expected)
    (chunk,) = token_chunks(components.pipe.tokenizer, prompt)
    assert torch.equal(components.pipe.text_encoder(torch.tensor([chunk]))[0], expected)


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_what_comes_after_77_tokens_acts(components, field):
    family, tokenizer = family_of(components), components.pipe.tokenizer
    for tokens in (76, 140, 230):
        one, other = (
            denoise_alone(family, request(**{field: of_length(tokenizer, tokens, last)})) for last in ("car", "red")
        )
        assert not torch.equal(one, other)


def test_the_shorter_of_prompt_and_negative_prompt_is_filled_with_empty_prompts(components):
    family = family_of(components)
    text = family.encode(request(prompt=LONG, negative_prompt="blurry")).conditioning["encoder_hidden_states"]
    blank, blurry = (components.text.encode(prompt).states for prompt in ("", "blurry"))
    chunks = text.shape[1] // 77
    assert chunks > 1
    assert torch.equal(text[:1], torch.cat([blurry, *[blank] * (chunks - 1)], dim=1))
    assert torch.equal(text[1:], components.text.encode(LONG).states)


def test_a_long_prompt_equals_the_stock_pipeline_given_the_same_conditioning(components, stock):
    family = family_of(components)
    one = request(prompt=LONG, num_inference_steps=5)
    conditioning = family.encode(one).conditioning
    pipe = stock(torch.float32)
    assert torch.equal(denoise_alone(family, one), pipe.latents(one, None, conditioning))


def test_prompts_of_several_lengths_at_once_give_each_what_it_gets_alone(components):
    family = family_of(components)
    reference = {"references": (photo(7),), "ip_adapter_scale": 0.6}
    requests = [
        request(1),
        request(2, prompt=LONG, controls={"depth": control(102, 0.7)}),
        request(3, prompt=LONG, **reference),
        request(4, negative_prompt=LONG + " red"),
        request(5, prompt=LONG, guidance_scale=1.0),
        request(6, prompt=" ".join([LONG] * 2), **reference),
    ]
    together = denoise_together(family, requests, arrive_every=1)
    for one, latents in zip(requests, together, strict=True):
        assert (latents - denoise_alone(family, one)).abs().max() <= 1e-3


def test_the_engine_serves_prompts_of_unequal_lengths_together(engine):
    prompts = ["a red car", LONG, "a blue car", " ".join([LONG] * 2)]
    results = run(engine, *(request(number, prompt=prompt) for number, prompt in enumerate(prompts)))
    assert [result.image.shape for result in results] == [(64, 64, 3)] * 4
