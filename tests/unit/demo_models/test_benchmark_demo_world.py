import numpy as np

from benchmarks.demo_world import Verdict, judge, refused, request_for, summary
from composition.request import RefineMask
from demo_models.world.edits import KINDS, RECOLOUR, REFERENCE, STRUCTURE, sample_edit


def verdict(kind: str, colour: float = 0.9, shape: float = 0.9, strayed_px: int = 0) -> Verdict:
    return Verdict(kind=kind, seed=1, prompt="blue car", colour=colour, shape=shape, strayed_px=strayed_px)


def test_a_success_needs_colour_shape_and_untouched_surroundings():
    assert verdict(RECOLOUR).success
    assert not verdict(RECOLOUR, colour=0.4).success
    assert not verdict(RECOLOUR, shape=0.6).success
    assert not verdict(RECOLOUR, strayed_px=1).success


def test_the_truth_is_a_success_and_the_untouched_image_is_not():
    for kind in KINDS:
        pair = sample_edit(4, kind)
        mask = np.full((256, 256), 255, np.uint8)
        assert judge(pair, 4, pair.after.image, mask).success
        assert not judge(pair, 4, pair.before.image, mask).success


def test_a_blob_of_the_right_colour_is_no_success():
    pair = sample_edit(0, RECOLOUR)
    blob = pair.before.image.copy()
    blob[pair.silhouette_window] = pair.after.image[pair.region > 200].mean(axis=0)
    found = judge(pair, 0, blob, np.full((256, 256), 255, np.uint8))
    assert found.colour > 0.9
    assert not found.success


def test_the_reference_goes_with_the_request():
    pair = sample_edit(1, REFERENCE)
    request = request_for(pair, 1)
    assert len(request.references) == 1
    assert request.options.seed == 1


def test_structure_is_asked_for_with_depth_in_a_box():
    options = request_for(sample_edit(1, STRUCTURE), 1).options
    assert options.control_types == ("depth",)
    assert options.refine_mask is RefineMask.OFF


def test_the_summary_counts_successes_of_every_kind():
    verdicts = [verdict(RECOLOUR), verdict(RECOLOUR, colour=0.0), verdict(STRUCTURE)]
    assert summary(verdicts) == "recolour 1/2 material 0/0 reference 0/0 structure 1/1"


def test_a_rough_mask_goes_with_structure_edits_only():
    pair = sample_edit(4, STRUCTURE)
    request = request_for(pair, 4, rough=True)
    assert (request.mask == pair.rough_mask).all()
    assert request_for(sample_edit(4, RECOLOUR), 4, rough=True).mask is None


def test_a_refused_edit_is_a_failed_one():
    for kind in KINDS:
        found = refused(sample_edit(4, kind), 4)
        assert not found.success
        assert not found.routed
        assert found.colour == 0
        assert found.strayed_px == 0
