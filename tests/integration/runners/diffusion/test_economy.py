"""`config.quality`: what a request reuses from step to step is its own, whoever shares its steps."""

from __future__ import annotations

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from composition.request import Quality, Speed
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.row_budget import RowBudget
from runners.diffusion.engine.stepping import Stepper
from runners.diffusion.families.stable_diffusion.attention import ReferenceRows
from runners.diffusion.families.stable_diffusion.deep_features import UNetRows, full_pass, most_layers, shallow_pass
from runners.diffusion.families.stable_diffusion.economy import ECONOMIES
from runners.diffusion.torch_device import TorchDevice
from tests.integration.runners.diffusion.denoising import denoise_alone, denoise_together, family_of
from tests.integration.runners.diffusion.requests import both_controls, control, photo, request

pytestmark = pytest.mark.integration

REFERENCE = {"references": (photo(7),), "ip_adapter_scale": 0.6}
IN_COMPANY = 1e-3
"""As `test_equality_with_stock` has it."""


def rows_for(unet, height, width, *, controlled, reference):
    """Random inputs for two rows."""
    generator = torch.Generator().manual_seed(5)
    device = unet.conv_in.weight.device

    def random(*shape):
        return torch.randn(shape, generator=generator, device="cpu").to(device)

    conditioning = {"encoder_hidden_states": random(2, 77, unet.config.cross_attention_dim)}
    if unet.config.addition_embed_type == "text_time":
        width_of_ids = 6 * unet.config.addition_time_embed_dim
        text = unet.config.projection_class_embeddings_input_dim - width_of_ids
        conditioning |= {"text_embeds": random(2, text), "time_ids": random(2, 6)}
    sample, timesteps = random(2, unet.config.in_channels, height, width), torch.tensor([7, 500], device=device)
    down = mid = None
    if controlled:
        with torch.inference_mode():
            skips = []
            hooks = [block.register_forward_hook(lambda _, __, out: skips.extend(out[1])) for block in unet.down_blocks]
            first = unet.conv_in.register_forward_hook(lambda _, __, out: skips.append(out))
            last = unet.mid_block.register_forward_hook(lambda _, __, out: skips.append(out))
            whole(unet, UNetRows(sample=sample, timesteps=timesteps, conditioning=conditioning, references=()))
            for hook in (*hooks, first, last):
                hook.remove()
        *down, mid = [random(*skip.shape) for skip in skips]
    tokens = ReferenceRows(tokens=random(2, 4, unet.config.cross_attention_dim), scales=torch.full((2, 1, 1), 0.5))
    return UNetRows(
        sample=sample,
        timesteps=timesteps,
        conditioning=conditioning,
        references=(tokens,) if reference else (),
        down=down,
        mid=mid,
    )


def whole(unet, rows):
    """The UNet's own forward."""
    added = {name: tensor for name, tensor in rows.conditioning.items() if name != "encoder_hidden_states"}
    return unet(
        rows.sample,
        rows.timesteps,
        encoder_hidden_states=rows.conditioning["encoder_hidden_states"],
        cross_attention_kwargs=rows.attention,
        added_cond_kwargs=added or None,
        down_block_additional_residuals=rows.down,
        mid_block_additional_residual=rows.mid,
        return_dict=False,
    )[0]


@pytest.mark.parametrize("size", [(8, 8), (12, 8), (9, 7)], ids=str)
@pytest.mark.parametrize("controlled", [False, True], ids=["", "controlled"])
@pytest.mark.parametrize("reference", [False, True], ids=["", "reference"])
def test_both_passes_are_bit_equal_to_the_unets_own_forward(served, size, controlled, reference):
    """A shallow pass with the features of the very same step has nothing to differ in, however few its layers."""
    unet = served.load().unet
    rows = rows_for(unet, *size, controlled=controlled, reference=reference)
    layers = range(1, most_layers(unet) + 1)
    with torch.inference_mode():
        expected = whole(unet, rows)
        noise, deep = full_pass(unet, rows, layers)
        assert torch.equal(noise, expected)
        for count in layers:
            assert torch.equal(shallow_pass(unet, rows, deep[count], count), expected), count


def test_fewer_layers_are_less_work(load):
    unet = load().unet
    rows = rows_for(unet, 8, 8, controlled=False, reference=False)

    _, (_, deep) = work_of(lambda: full_pass(unet, rows, [1, 2]))
    one, two = (work_of(lambda n=n: shallow_pass(unet, rows, deep[n], n))[0] for n in (1, 2))
    assert one < two < work_of(lambda: whole(unet, rows))[0]


def work_of(run):
    """Its floating point operations, and what it gives."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        result = run()
    return counter.get_total_flops(), result


SD15 = {"cross_attention_dim": 768}
SDXL = {
    "cross_attention_dim": 2048,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": [1, 2, 10],
    "attention_head_dim": [5, 10, 20],
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}


@pytest.mark.parametrize(
    ("widths", "side", "shares"),
    [(SD15, 64, {1: 0.08, 2: 0.22}), (SDXL, 128, {1: 0.01, 2: 0.04})],
    ids=["sd15", "sdxl"],
)
def test_what_a_step_that_reuses_costs_at_the_published_widths(widths, side, shares):
    """As docs/performance.md has it; counted on tensors without content."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(in_channels=9, **widths)
        rows = rows_for(unet, side, side, controlled=False, reference=False)
        whole_step, (_, deep) = work_of(lambda: full_pass(unet, rows, shares))
        counted = {layers: work_of(lambda n=layers: shallow_pass(unet, rows, deep[n], n))[0] for layers in shares}
    assert {layers: round(count / whole_step, 2) for layers, count in counted.items()} == shares
    economy = ECONOMIES[Quality.BALANCED]
    saved = (1 + (economy.every - 1) * counted[economy.layers] / whole_step) / economy.every
    assert saved <= 0.75


def steps_of(family, one):
    """How many layers each step computed, 0: all; and what ran."""
    taken = []
    stepper = stepper_of(family)
    with torch.inference_mode():
        state = family.encode(one)
        while not state.done:
            taken.append(state.bucket.shallow)
            [outcome] = stepper.step([state])
            assert outcome.error is None
    return taken, family.forward._counters.snapshot()


def stepper_of(family):
    device = TorchDevice(torch.device("cpu"))
    return Stepper(family, device, RowBudget(32, device.free_bytes), Counters())


def test_of_so_many_steps_one_computes_all_and_controlnets_run_with_it_only(load):
    economy = ECONOMIES[Quality.BALANCED]
    asked = {"quality": Quality.BALANCED, "num_inference_steps": 8, "controls": both_controls()}
    taken, counts = steps_of(family_of(load()), request(**asked))
    assert taken == [0 if step % economy.every == 0 else economy.layers for step in range(8)]
    full = taken.count(0)
    assert counts["controlnet_pose_forwards"] == counts["controlnet_depth_forwards"] == full
    assert (counts["unet_forwards"], counts["unet_shallow_forwards"]) == (8, 8 - full)


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"guidance_end": 0.625}, 5),
        ({"guidance_start": 0.375}, 3),
        ({"controls": {"pose": control(1, 0.8, 0.0, 0.625)}}, 5),
        ({**REFERENCE, "ip_adapter_start": 0.375}, 3),
    ],
    ids=["guidance ends", "guidance starts", "a ControlNet ends", "a reference starts"],
)
def test_where_something_else_acts_than_before_all_is_computed(load, changes, at):
    """Step `at` would be a shallow one."""
    settings = {name: changes.pop(name) for name in tuple(changes) if name.startswith("guidance")}
    taken, _ = steps_of(
        family_of(load(), **settings), request(quality=Quality.BALANCED, num_inference_steps=8, **changes)
    )
    usual, _ = steps_of(family_of(load()), request(quality=Quality.BALANCED, num_inference_steps=8))
    assert usual[at] > 0
    assert taken[:at] == usual[:at]
    assert taken[at] == 0


def test_exact_reuses_nothing_and_fast_neither(load):
    for asked in ({"quality": Quality.EXACT}, {"quality": Quality.DRAFT, "speed": Speed.FAST, "guidance_scale": 1.5}):
        taken, counts = steps_of(family_of(load()), request(height=128, width=128, **asked))
        assert set(taken) == {0}
        assert "unet_shallow_forwards" not in counts


def mixed_requests():
    """Of every quality, at phases that do not go together."""
    return [
        request(1, num_inference_steps=9, quality=Quality.BALANCED),
        request(2, num_inference_steps=7, quality=Quality.BALANCED, controls=both_controls(), prompt="a red jacket"),
        request(3, num_inference_steps=8),
        request(4, num_inference_steps=8, quality=Quality.DRAFT, **REFERENCE),
        request(5, num_inference_steps=6, quality=Quality.BALANCED, guidance_scale=1.0),
        request(6, num_inference_steps=9, quality=Quality.DRAFT, controls={"depth": control(2, 0.7, 0.2, 1.0)}),
    ]


@pytest.mark.parametrize("arrive_every", [0, 1])
def test_each_users_features_stay_their_own_among_others(served, arrive_every):
    """Same pictures as alone, to what company has always made of them; another's features would show."""
    family = family_of(served.load())
    requests = mixed_requests()
    alone = [denoise_alone(family, one) for one in requests]
    together = denoise_together(family, requests, arrive_every=arrive_every)
    for expected, latents in zip(alone, together, strict=True):
        assert (latents - expected).abs().max() <= IN_COMPANY


def test_anothers_features_would_show(load):
    family = family_of(load())
    one, other = (request(seed, num_inference_steps=4, quality=Quality.BALANCED) for seed in (1, 2))
    expected = denoise_alone(family, one)
    stepper = stepper_of(family)
    with torch.inference_mode():
        states = [family.encode(one), family.encode(other)]
        stepper.step(states)
        states[0].deep, states[1].deep = states[1].deep, states[0].deep
        while not states[0].done:
            stepper.step(states[:1])
    assert (states[0].latents - expected).abs().max() > 10 * IN_COMPANY


@pytest.mark.parametrize("tight_one", ["run_shallow", "run_full"])
def test_a_batch_that_is_split_for_want_of_memory_loses_no_features(load, monkeypatch, tight_one):
    family = family_of(load())
    requests = [request(seed, num_inference_steps=6, quality=Quality.BALANCED) for seed in range(4)]
    alone = [denoise_alone(family, one) for one in requests]
    sizes = []
    for name in ("run_shallow", "run_full"):
        run = getattr(family.unet, name)

        def tight(rows, *given, run=run, name=name, **named):
            sizes.append((name, len(rows.sample)))
            if name == tight_one and len(rows.sample) > 4:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return run(rows, *given, **named)

        monkeypatch.setattr(family.unet, name, tight)
    together = denoise_together(family, requests)
    assert {(tight_one, 8), ("run_shallow", 4), ("run_full", 4)} <= set(sizes)
    for expected, latents in zip(alone, together, strict=True):
        assert (latents - expected).abs().max() <= IN_COMPANY


def test_features_are_memory_of_their_own_and_start_over_with_the_request(load):
    """A view would hold all rows of a batch, other users' too, as long as one of its requests runs."""
    family = family_of(load(torch.bfloat16))
    given = {"quality": Quality.BALANCED, "num_inference_steps": 4, "controls": both_controls()}
    with torch.inference_mode():
        states = [family.encode(request(seed, **given)) for seed in range(3)]
        stepper_of(family).step(states)
        for state in states:
            held = [state.deep.hidden, *state.deep.residuals]
            assert len(held) == 1 + ECONOMIES[Quality.BALANCED].layers
            for tensor in held:
                assert tensor.shape[0] == 2
                assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        again = states[0].again_in_float32()
    assert (again.deep, again.bucket.shallow, again.shallow) == (None, 0, 0)
