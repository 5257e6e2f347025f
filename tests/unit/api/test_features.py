from __future__ import annotations

import pytest

from api.features import UNAVAILABLE, refuse_unavailable
from api.schemas import GenerateRequest
from composition.errors import NotAvailableYet


def request(**fields: object) -> GenerateRequest:
    return GenerateRequest.model_validate({"base_image": "aGk=", "prompt": "blue car", **fields})


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("config.speed: fast", {"config": {"speed": "fast"}}),
        ("config.loras", {"config": {"loras": {"pixel-art": 1.0}}}),
        ("config.crop", {"config": {"crop": "off"}}),
        ("mask_image", {"mask_image": "aGk="}),
    ],
)
def test_asking_for_a_feature_that_is_not_built_is_refused(name: str, fields: dict[str, object]):
    with pytest.raises(NotAvailableYet) as caught:
        refuse_unavailable(request(**fields), frozenset({name}))
    assert caught.value.details == {"field": name}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("config.speed: fast", {"config": {"speed": "normal"}}),
        ("config.speed: fast", {}),
        ("config.loras", {"config": {"loras": None}}),
        ("config.loras", {"config": {"loras": {}}}),
        ("config.control_types", {"config": {"control_types": []}}),
        ("config.crop", {"config": {"crop": "auto"}}),
        ("mask_image", {"mask_image": None}),
    ],
)
def test_saying_the_default_is_not_asking(name: str, fields: dict[str, object]):
    refuse_unavailable(request(**fields), frozenset({name}))


@pytest.mark.parametrize("name", sorted(UNAVAILABLE))
def test_every_name_in_the_list_is_a_field_of_the_contract(name: str):
    refuse_unavailable(request(), frozenset({name}))
