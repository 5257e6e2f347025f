"""The network that knows the painted world, and half precision of networks that others trained."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

onnxruntime = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")

from demo_models.recipes.halving import halve  # noqa: E402
from demo_models.recipes.home import SIDE_PX, HomeRecipe, load_photographs, made_up, squeezed, worn  # noqa: E402
from runners.home import SIDE_PX as SERVED_SIDE_PX  # noqa: E402

WEIGHTS = np.random.default_rng(0).normal(0, 0.2, (64, 48)).astype(np.float32)


def network(folder, weights=WEIGHTS, kind=TensorProto.INT32, reader="Cast"):
    """x -> cast to float -> times weights, plus a small constant."""
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node(reader, ["x"], ["f"], **({"to": TensorProto.FLOAT} if reader == "Cast" else {})),
        helper.make_node("MatMul", ["f", "w"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["y"]),
    ]
    if kind == TensorProto.FLOAT and reader == "Cast":
        nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), nodes[2]]
    constants = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.float32([1 / 3]), "b")]
    inputs, outputs = [value("x", kind, [2, 64])], [value("y", TensorProto.FLOAT, [2, 48])]
    graph = helper.make_graph(nodes, "test", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / "whole.onnx"))
    return folder / "whole.onnx"


def run(path, batch):
    return onnxruntime.InferenceSession(str(path)).run(None, {"x": batch})[0]


def test_a_halved_network_gives_nearly_the_same_and_takes_half_the_room(tmp_path):
    whole, half = network(tmp_path, kind=TensorProto.FLOAT), tmp_path / "half.onnx"
    batch = np.random.default_rng(1).random((2, 64), np.float32)

    halve(whole, half)

    assert np.abs(run(whole, batch) - run(half, batch)).max() < 5e-3
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    small = next(item for item in onnx.load(str(half)).graph.initializer if item.name == "b")
    assert small.data_type == TensorProto.FLOAT


def test_an_image_of_whole_numbers_is_taken_as_float_like_every_other(tmp_path):
    whole, half = network(tmp_path), tmp_path / "half.onnx"
    batch = np.random.default_rng(1).integers(0, 256, (2, 64))

    halve(whole, half)

    difference = np.abs(run(whole, batch.astype(np.int32)) - run(half, batch.astype(np.float32)))
    assert difference.max() < 0.5  # of values up to some hundreds
    assert all(node.op_type != "Cast" or node.input[0] != "x" for node in onnx.load(str(half)).graph.node)


def test_what_half_precision_cannot_hold_is_refused(tmp_path):
    with pytest.raises(ValueError, match="w reaches 100000"):
        halve(network(tmp_path, WEIGHTS * 0 + 1e5, kind=TensorProto.FLOAT), tmp_path / "half.onnx")


class Scenes:
    """Flat red pictures."""

    def __len__(self):
        return 4

    def take(self, array, indices):
        assert array == "images"
        return np.tile(np.uint8([200, 10, 10]), (len(indices), 256, 256, 1))


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(25):
        noise = np.random.default_rng(number).integers(0, 255, (90, 120, 3)).astype(np.uint8)
        Image.fromarray(noise).save(folder / f"{number:02}.png")
    return folder


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch calls its own exporter old
def test_a_recipe_learns_scenes_against_photographs_and_exports_what_the_service_runs(tmp_path, photographs):
    recipe = HomeRecipe(scenes=Scenes(), held_out=Scenes(), photographs=photographs)
    torch.manual_seed(0)
    module = recipe.build()
    optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3)
    rng = np.random.default_rng(0)
    for _ in range(25):
        loss = module(**recipe.batch(rng))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    module.eval()
    with torch.no_grad():
        scores = recipe.score(module)
        recipe.save(module, tmp_path)

    assert scores["least_known"] > scores["strange_at_most"]
    assert SIDE_PX == SERVED_SIDE_PX
    session = onnxruntime.InferenceSession(str(tmp_path / "home.onnx"))
    scene = np.tile(np.uint8([200, 10, 10]), (256, 256, 1))
    (known,) = session.run(None, {"image": squeezed([scene, load_photographs(photographs)[0]])})
    assert known.shape == (2, 1)
    assert known[0, 0] > known[1, 0]


def test_photographs_for_scoring_are_never_learnt_from(photographs):
    recipe = HomeRecipe(scenes=Scenes(), held_out=Scenes(), photographs=photographs)
    for number in range(0, 25, 5):
        Image.new("RGB", (100, 100), (0, 255, 0)).save(photographs / f"{number:02}.png")

    for step in range(5):
        images = recipe.batch(np.random.default_rng(step))["images"].numpy()
        greenness = images[:, 1].mean(axis=(1, 2)) - images[:, [0, 2]].max(axis=(1, 2, 3))
        assert greenness.max() < 0.2


def test_too_few_photographs_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="has 0 photographs; 20 or more are needed"):
        load_photographs(tmp_path)


def test_wear_keeps_a_picture_a_picture():
    for seed in range(6):
        picture = worn(made_up(np.random.default_rng(seed)), np.random.default_rng(seed))
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        assert picture.shape[2] == 3
