"""A set of LoRAs gives what the stock pipeline gives with it, and nobody else notices that it is there."""

from __future__ import annotations

import dataclasses
import threading

import pytest
import torch

from benchmarks.stock import StockPipelines
from composition.errors import InvalidInput
from composition.request import Speed
from tests.fakes.fake_listener import FakeListener
from tests.integration.runners.diffusion.denoising import denoise_alone, denoise_together, family_of
from tests.integration.runners.diffusion.lora_files import (
    ATTENTION,
    CONVOLUTIONS,
    TEXT,
    dotted,
    kohya,
    matrices,
    saved,
)
from tests.integration.runners.diffusion.requests import control, photo, request, run

pytestmark = pytest.mark.integration

CPU = torch.device("cpu")
PROMPT = "a mug in the style of sumi"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("loras")


@pytest.fixture(scope="module")
def files(load, folder):
    """One LoRA in each layout, and two embeddings."""
    pipe = load().pipe
    unet, text = pipe.unet, pipe.text_encoder
    attention, words = matrices(unet, ATTENTION, 4, 1), matrices(text, TEXT, 2, 2)
    width = text.config.hidden_size
    return {
        use.name: use
        for use in (
            saved(folder, "kohya", kohya(attention, alpha=2.0) | kohya(words, "lora_te_", alpha=1.0)),
            saved(folder, "locon", kohya(matrices(unet, ATTENTION + CONVOLUTIONS, 3, 3), alpha=3.0)),
            saved(folder, "convolutions", kohya(matrices(unet, CONVOLUTIONS, 2, 4))),
            saved(
                folder, "old", dotted(matrices(unet, ATTENTION, 4, 5), "unet.", ".lora.down.weight", ".lora.up.weight")
            ),
            saved(
                folder,
                "new",
                dotted(matrices(unet, ATTENTION + CONVOLUTIONS, 4, 6), "unet.", ".lora_A.weight", ".lora_B.weight")
                | dotted(words, "text_encoder.", ".lora_A.weight", ".lora_B.weight"),
            ),
            saved(folder, "words", kohya(matrices(text, TEXT, 4, 7), "lora_te_", alpha=4.0)),
            saved(folder, "sumi", {"emb_params": torch.randn(3, width, generator=torch.Generator().manual_seed(8))}),
            saved(folder, "toy", {"<cat-toy>": torch.randn(width, generator=torch.Generator().manual_seed(9))}),
        )
    }


@pytest.fixture(scope="module")
def stock_with(paths):
    """Final latents of a stock pipeline with a request's LoRAs."""
    pipelines = StockPipelines(paths, torch.float32)

    def latents(one, ip_variant=None):
        pipelines.wear(ip_variant, one.loras)
        return pipelines.latents(one, ip_variant)

    return latents


@pytest.mark.parametrize("name", ["kohya", "locon", "convolutions", "old", "new", "words", "sumi"])
@pytest.mark.parametrize("weight", [-0.6])
def test_every_layout_is_bit_equal_to_the_stock_pipeline_and_acts(load, files, stock_with, name, weight):
    family = family_of(load(variant=None))
    one = request(prompt=PROMPT, loras=(dataclasses.replace(files[name], weight=weight),))
    latents = denoise_alone(family, one)
    assert torch.equal(latents, stock_with(one))
    assert (latents - denoise_alone(family, dataclasses.replace(one, loras=()))).abs().max() > 1e-3
    assert family.encode(one).notes == ()


@pytest.mark.parametrize("names", [("kohya",), ("locon",), ("words",), ("new", "kohya", "sumi")], ids="+".join)
def test_fused_is_what_the_stock_pipeline_gives_fused(load, paths, files, names):
    weights = dict(zip(sorted(names), (0.8, -0.6, 1.0), strict=False))
    one = request(prompt=PROMPT, loras=tuple(dataclasses.replace(files[name], weight=w) for name, w in weights.items()))
    pipelines = StockPipelines(paths, torch.float32)
    pipelines.wear(None, one.loras)
    pipelines.fuse(None)
    family = family_of(load(variant=None), fused_loras=True)
    latents = denoise_alone(family, one)
    assert (latents - pipelines.latents(one, None)).abs().max() <= 1e-3
    plain = dataclasses.replace(one, loras=())
    assert (latents - denoise_alone(family, plain)).abs().max() > 1e-3


def test_fusing_leaves_no_adapters_behind_takes_what_it_changes_and_leaves_plain_requests_alone(load, files):
    plain = denoise_alone(family_of(load()), request())
    family = family_of(load(), fused_loras=True)
    made = family.loras.get((files["old"],))
    assert not any("lora" in name for name, _ in made.unet.named_modules())
    changed = matrices(load().pipe.unet, ATTENTION, 4, 5)
    layers = dict(made.unet.named_modules())
    assert made.size_bytes == sum(layers[name].weight.numel() * 4 for name in changed)
    assert torch.equal(denoise_alone(family, request()), plain)


def test_several_at_once_with_a_reference_and_controls_are_bit_equal(load, files, stock_with):
    weights = {"kohya": 0.5, "new": 0.8, "sumi": 1.0}
    loras = tuple(dataclasses.replace(files[name], weight=weight) for name, weight in weights.items())
    one = request(
        prompt=PROMPT, loras=loras, controls={"pose": control(101, 0.8)}, references=(photo(7),), ip_adapter_scale=0.6
    )
    assert torch.equal(denoise_alone(family_of(load()), one), stock_with(one, "sd15"))


def test_pefts_own_layout_is_the_same_lora(load, folder):
    layers = matrices(load().pipe.unet, ATTENTION, 4, 11)
    names = {"down": ".lora_A.weight", "up": ".lora_B.weight"}
    same = [
        saved(folder, "peft", dotted(layers, "base_model.model.", **names)),
        saved(folder, "as-diffusers", dotted(layers, "unet.", **names)),
    ]
    family = family_of(load(variant=None))
    peft, diffusers = (denoise_alone(family, request(loras=(lora,))) for lora in same)
    assert torch.equal(peft, diffusers)


def test_an_embedding_of_several_vectors_in_a_long_prompt_stands_for_all_of_them(load, files):
    family = family_of(load(variant=None))
    long = "a large red mug on a wooden table " * 12
    with_token, without = (
        family.encode(request(prompt=prompt, loras=(files["sumi"],))).conditioning["encoder_hidden_states"]
        for prompt in (f"{long} sumi", long)
    )
    plain = family.components.pipe
    assert plain.text_encoder.get_input_embeddings().weight.shape[0] == len(plain.tokenizer)
    tokenizer = family.loras.get((files["sumi"],)).text._pipe.tokenizer
    ids = tokenizer(plain.maybe_convert_prompt(f"{long} sumi", tokenizer)).input_ids
    assert ids[-4:-1] == tokenizer.convert_tokens_to_ids(["sumi", "sumi_1", "sumi_2"])
    assert not torch.equal(with_token, without)


def users(files, **fields):
    """Two users' requests with LoRAs of their own, and two without."""
    ink, oil = (files[name] for name in ("kohya", "new"))
    return [
        request(1, prompt=PROMPT, loras=(ink,), num_inference_steps=6, **fields),
        request(2, prompt=PROMPT, num_inference_steps=5, **fields),
        request(3, prompt=PROMPT, loras=(oil,), num_inference_steps=4, **fields),
        request(4, prompt=PROMPT, loras=(dataclasses.replace(ink, weight=0.5),), num_inference_steps=3, **fields),
        request(5, prompt=PROMPT, loras=(ink,), num_inference_steps=4, **fields),
        request(6, prompt=PROMPT, num_inference_steps=4, **fields),
    ]


def test_users_with_different_loras_and_without_any_each_get_what_they_get_alone(load, files):
    requests = users(files)
    plain = family_of(load(variant=None))
    never = [denoise_alone(plain, one) for one in requests if not one.loras]
    family = family_of(load(variant=None))
    together = denoise_together(family, requests, arrive_every=1)
    alone = [denoise_alone(family, one) for one in requests]
    assert max((a - b).abs().max() for a, b in zip(together, alone, strict=True)) <= 1e-3
    assert all(torch.equal(a, b) for a, b in zip(never, (alone[1], alone[5]), strict=True))
    assert plain.loras.stats() == {"sets": 0, "bytes": 0}


def test_images_of_an_engine_that_serves_them_all_at_once_are_those_that_each_gets_alone(make_engine, files):
    requests = users(files)
    alone = [run(make_engine(lease_s=600), one)[0].image for one in (requests[0], requests[1], requests[2])]
    engine = make_engine(threaded=True, lease_s=600)
    together = [result.image for result in run(engine, *requests)]
    for index, image in enumerate(alone):
        assert abs(together[index].astype(int) - image.astype(int)).max() <= 1
    assert engine.stats()["counters"]["lora_sets_made"] == 3


def test_only_requests_of_one_set_share_forwards(load, files):
    family = family_of(load(variant=None))
    counted = family.preprocessor._counters

    def forwards(*loras):
        before = counted.snapshot().get("unet_forwards", 0)
        denoise_together(family, [request(n, loras=one, num_inference_steps=3) for n, one in enumerate(loras)])
        return counted.snapshot()["unet_forwards"] - before

    ink, oil = (files["kohya"],), (files["new"],)
    assert forwards(ink, ink, ink) == 3
    assert forwards(ink, oil, ()) == 9
    assert forwards(ink, (dataclasses.replace(files["kohya"], weight=0.5),)) == 6
    assert forwards(ink, (dataclasses.replace(files["kohya"], name="another-users-name"),)) == 3
    assert counted.snapshot()["lora_sets_made"] == 3


def test_an_encoding_is_shared_with_plain_requests_only_where_the_lora_leaves_the_text_alone(load, files):
    family = family_of(load(variant=None))
    encoded = lambda *loras: family.encode(request(prompt=PROMPT, loras=loras)).cache["text_embeddings"]  # noqa: E731
    assert encoded() == "miss"
    assert encoded(files["old"]) == "hit"
    assert encoded(files["kohya"]) == "miss"
    assert encoded(files["kohya"]) == "hit"
    assert encoded(dataclasses.replace(files["kohya"], weight=0.5)) == "miss"
    assert encoded(files["sumi"]) == "miss"
    assert encoded() == "hit"


def test_sets_are_kept_within_their_bytes_and_one_in_use_lives_on(load, files):
    names = ["kohya", "new", "old"]
    sizes = {name: family_of(load()).loras.get((files[name],)).size_bytes for name in names}
    stored = sum(parameter.numel() * 4 for layers in (matrices(load().pipe.unet, ATTENTION, 4, 5),)
                 for pair in layers.values() for parameter in pair)  # fmt: skip
    assert sizes["old"] == stored
    family = family_of(load(), lora_max_bytes=sizes["kohya"] + sizes["new"])
    state = family.encode(request(loras=(files["kohya"],)))
    before = family.predict([state])[0].noise
    for name in names[1:]:
        family.encode(request(loras=(files[name],)))
    assert family.loras.stats() == {"sets": 2, "bytes": sizes["new"] + sizes["old"]}
    assert torch.equal(family.predict([state])[0].noise, before)
    family.release_memory()
    assert family.loras.stats() == {"sets": 0, "bytes": 0}
    assert family.preprocessor._counters.snapshot()["lora_sets_dropped"] == 3


def test_many_switches_leave_nothing_behind(load, files):
    import gc
    import weakref

    family = family_of(load(), lora_max_bytes=1)
    left = []
    for turn in range(6):
        made = family.loras.get((dataclasses.replace(files["old"], weight=0.1 + turn),))
        left.append(weakref.ref(made.unet))
    del made
    gc.collect()
    assert sum(one() is not None for one in left) == 1
    assert not any("lora" in name for name, _ in family.components.unet.named_parameters())
    # By this torch chooses how it multiplies, and PEFT takes it from what is under an adapter.
    assert all(weight.requires_grad for weight in family.components.unet.parameters())


def test_a_set_holds_no_second_copy_of_a_weight(load, files):
    family = family_of(load())
    plain = {
        parameter.data_ptr() for module in family.components.modules().values() for parameter in module.parameters()
    }
    made = family.loras.get((files["kohya"],))
    own = [name for name, p in made.unet.named_parameters() if p.data_ptr() not in plain]
    assert own
    assert all(".lora_" in name for name in own)


def test_a_lora_is_read_beside_the_denoising(make_engine, files, monkeypatch):
    from runners.diffusion.families.stable_diffusion import loras

    made_by, make = [], loras._make
    monkeypatch.setattr(
        loras, "_make", lambda *a, **k: made_by.append(threading.current_thread().name) or make(*a, **k)
    )
    run(make_engine(threaded=True, lease_s=600), request(loras=(files["old"],)), request())
    assert made_by == ["diffusion-side-work"]


def refused(make_engine, lora):
    engine, listener = make_engine(lease_s=600), FakeListener()
    engine.submit(request(loras=(lora,)), listener)
    error = listener.error()
    assert isinstance(error, InvalidInput)
    assert error.details == {"field": "config.loras"}
    (after,) = run(engine, request())
    assert after.image is not None
    return error.message


def test_a_lora_of_other_shapes_is_refused_and_the_engine_goes_on(make_engine, load, folder):
    layers = {name: (torch.ones(2, 77), up) for name, (_, up) in matrices(load().pipe.unet, ("to_k",), 2, 1).items()}
    assert "wide does not fit the model" in refused(make_engine, saved(folder, "wide", kohya(layers)))


def test_a_lora_of_other_layers_is_refused(make_engine, folder):
    layers = {"input_blocks.9.transformer.to_q": (torch.ones(2, 32), torch.ones(32, 2))}
    assert "other does not fit the model" in refused(make_engine, saved(folder, "other", kohya(layers)))


def test_an_embedding_of_another_width_or_of_a_known_word_is_refused(make_engine, load, folder):
    width = load().pipe.text_encoder.config.hidden_size
    vectors = torch.ones(1, width)
    known = next(word for word in load().pipe.tokenizer.get_vocab() if word.isalpha() and len(word) > 2)
    assert "narrow does not fit" in refused(make_engine, saved(folder, "narrow", {"emb_params": vectors[:, 1:]}))
    assert "known does not fit" in refused(make_engine, saved(folder, "known", {known: vectors}))


def test_a_file_that_is_gone_is_told(make_engine, files, tmp_path):
    gone = dataclasses.replace(files["old"], path=str(tmp_path / "gone.safetensors"), sha256="0" * 64)
    assert refused(make_engine, gone) == "config.loras: old was deleted"


def test_layers_that_find_no_place_are_named_and_the_rest_acts(load, folder, files):
    layers = matrices(load().pipe.unet, ATTENTION, 4, 5)
    more = {f"down_blocks.7.attentions.0.{n}": (torch.ones(4, 32), torch.ones(32, 4)) for n in ("to_q", "to_k")}
    tensors = dotted(layers | more, "unet.", ".lora_A.weight", ".lora_B.weight")
    partly = saved(folder, "partly", tensors)
    family = family_of(load(variant=None))
    one = request(loras=(partly,))
    assert family.encode(one).notes == (
        f"LoRA partly: 2 of its {len(layers) + 2} layers are not in the model that is served and do not act",
    )
    whole = saved(folder, "whole", dotted(layers, "unet.", ".lora_A.weight", ".lora_B.weight"))
    assert torch.equal(denoise_alone(family, one), denoise_alone(family, request(loras=(whole,))))


def test_a_fast_request_has_the_lcm_lora_beside_the_users(make_engine, files):
    engine = make_engine(lease_s=600)
    (fast,) = run(engine, request(speed=Speed.FAST, loras=(files["old"],)))
    assert {"lcm-lora", "old"} <= set(fast.models_used)
    assert engine.stats()["models_loaded"][-1] == "lcm-lora"
    assert "old" not in engine.stats()["models_loaded"]
