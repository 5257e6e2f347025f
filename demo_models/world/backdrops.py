"""Backdrops: a street, a room, a studio. Each paints image and depth and returns the ground to stand on."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from demo_models.world.canvas import CANVAS_PX, Canvas, Stencil
from demo_models.world.geometry import point
from demo_models.world.ground import DEPTH_PER_INVERSE_METRE, Camera, Ground
from demo_models.world.palette import Rgb, darker
from demo_models.world.textures import fractal_noise

STREET: Final = "street"
ROOM: Final = "room"
STUDIO: Final = "studio"

_SKIES: Final[tuple[tuple[Rgb, Rgb], ...]] = (
    ((104, 156, 214), (222, 234, 242)),
    ((142, 178, 212), (236, 236, 228)),
    ((150, 160, 176), (214, 216, 218)),
    ((122, 140, 196), (246, 212, 178)),
)
_FACADES: Final[tuple[Rgb, ...]] = ((172, 150, 128), (140, 128, 122), (188, 172, 148), (152, 108, 92), (126, 136, 148))
_WALLS: Final[tuple[Rgb, ...]] = ((226, 218, 202), (204, 212, 206), (206, 212, 222), (222, 204, 194), (190, 186, 180))
_FLOORS: Final[tuple[Rgb, ...]] = ((182, 142, 100), (148, 108, 74), (204, 176, 136), (164, 158, 150), (128, 126, 128))
_STUDIOS: Final[tuple[Rgb, ...]] = ((196, 202, 210), (208, 198, 188), (176, 192, 184), (190, 180, 196), (156, 168, 184))


@dataclass(frozen=True, kw_only=True)
class Backdrop:
    """What stands behind the subject.

    Attributes:
        kind: street, room or studio.
        seed: Decides every detail.
        horizon_px: Canvas row where a street's or a studio's ground begins.
        camera: The camera of a room.
    """

    kind: str
    seed: int
    horizon_px: int
    camera: Camera

    @classmethod
    def sample(cls, rng: np.random.Generator, kind: str, camera: Camera | None = None) -> "Backdrop":
        """Draws a backdrop of a kind."""
        return cls(
            kind=kind,
            seed=int(rng.integers(1 << 30)),
            horizon_px=int(rng.integers(226, 272)),
            camera=camera or Camera(distance_m=float(rng.uniform(2.8, 3.4))),
        )

    def draw(self, canvas: Canvas) -> Ground:
        """Paints the whole canvas."""
        rng = np.random.default_rng(self.seed)
        if self.kind == ROOM:
            return _room(canvas, rng, self.camera)
        return _street(canvas, rng, self.horizon_px) if self.kind == STREET else _studio(canvas, rng, self.horizon_px)


def _pick(rng: np.random.Generator, colours: tuple[Rgb, ...], spread: float = 7.0) -> Rgb:
    red, green, blue = np.asarray(colours[int(rng.integers(len(colours)))]) + rng.normal(0, spread * 0.5, 3)
    lift = rng.normal(0, spread)
    return float(red + lift), float(green + lift), float(blue + lift)


def _vertical(top: Rgb, bottom: Rgb, rows: int) -> np.ndarray:
    amount = np.linspace(0, 1, rows, dtype=np.float32)[:, None, None]
    return np.asarray(top, np.float32) * (1 - amount) + np.asarray(bottom, np.float32) * amount


def _rectangle(canvas: Canvas, box: tuple[int, int, int, int], ink: Rgb) -> None:
    left, top, right, bottom = box
    canvas.rgb[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = ink


def _buildings(canvas: Canvas, rng: np.random.Generator, horizon: int) -> None:
    x = -int(rng.integers(0, 60))
    while x < CANVAS_PX:
        width, top = int(rng.integers(74, 150)), horizon - int(rng.integers(90, 230))
        wall = _pick(rng, _FACADES, 9)
        _rectangle(canvas, (x, top, x + width, horizon), wall)
        _rectangle(canvas, (x, top, x + width, top + 5), darker(wall, 0.82))
        _rectangle(canvas, (x + width - 9, top, x + width, horizon), darker(wall, 0.88))
        pitch_x, pitch_y = int(rng.integers(24, 32)), int(rng.integers(32, 42))
        for window_y in range(top + 16, horizon - 26, pitch_y):
            for window_x in range(x + 10, x + width - 22, pitch_x):
                glass = (92, 112, 134) if rng.random() < 0.75 else (236, 214, 150)
                _rectangle(canvas, (window_x, window_y, window_x + 13, window_y + 19), glass)
                _rectangle(canvas, (window_x, window_y + 17, window_x + 13, window_y + 20), darker(wall, 1.2))
        canvas.depth[max(0, top) : horizon, max(0, x) : x + width] = 30
        x += width


def _tree(canvas: Canvas, rng: np.random.Generator, x: float, base: float) -> None:
    radius = float(rng.uniform(26, 44))
    leaf: Rgb = (float(rng.uniform(54, 84)), float(rng.uniform(104, 138)), float(rng.uniform(48, 66)))
    canvas.line(np.array([[x, base], [x, base - 2 * radius]]), (92, 70, 52), 9)
    crown = point(x, base - 2.1 * radius)
    blobs = ((0.3, 0.3, 0.8, 0.72), (-0.35, 0.15, 0.75, 0.86), (0.0, 0.0, 0.95, 1.0), (-0.2, -0.3, 0.5, 1.16))
    for shift_x, shift_y, size, tone in blobs:
        blob = Stencil.ellipse(crown + radius * point(shift_x, shift_y), radius * size, radius * size)
        canvas.paint(blob, darker(leaf, tone), depth=40)


def _street(canvas: Canvas, rng: np.random.Generator, horizon: int) -> Ground:
    canvas.rgb[:] = _vertical(*_SKIES[int(rng.integers(len(_SKIES)))], CANVAS_PX)
    _buildings(canvas, rng, horizon)
    for x in np.sort(rng.uniform(0, CANVAS_PX, int(rng.integers(0, 4)))):
        _tree(canvas, rng, float(x), horizon + 4)
    kerb = horizon + 28
    canvas.rgb[horizon:kerb] = _vertical((176, 172, 164), (192, 188, 180), kerb - horizon)
    canvas.rgb[kerb : kerb + 7] = (128, 125, 121)
    asphalt = 84 + float(rng.uniform(-10, 16)) + 13 * fractal_noise(rng, CANVAS_PX // 2, 40, 2)
    shading = np.linspace(1.1, 0.9, CANVAS_PX - kerb - 7, dtype=np.float32)[:, None]
    road = np.repeat(np.repeat(asphalt, 2, 0), 2, 1)[kerb + 7 :] * shading
    canvas.rgb[kerb + 7 :] = road[..., None] * np.array([0.98, 0.99, 1.03], np.float32)
    lane, shift = int(horizon + (CANVAS_PX - horizon) * 0.88), int(rng.integers(0, 140))
    for x in range(-shift, CANVAS_PX, 140):
        dash = np.array([[x, lane], [x + 74, lane], [x + 68, lane + 10], [x - 8, lane + 10]], np.float64)
        if x + 74 > 0:
            canvas.paint(Stencil.polygon(dash), (226, 224, 212))
    gain = 205 / (CANVAS_PX - horizon)
    ground = Ground(horizon_px=horizon - 30 / gain, gain_per_px=gain)
    _floor_depth(canvas, ground, horizon)
    return ground


def _floor_depth(canvas: Canvas, ground: Ground, first_row: int) -> None:
    rows = (np.arange(first_row, CANVAS_PX) - ground.horizon_px) * ground.gain_per_px
    canvas.depth[first_row:] = np.clip(rows, 0, 255)[:, None]


def _wall_things(canvas: Canvas, rng: np.random.Generator, floor_row: int) -> None:
    width, height = int(rng.integers(86, 140)), int(rng.integers(74, 104))
    left, top = int(rng.integers(24, CANVAS_PX - width - 24)), int(rng.integers(10, max(11, floor_row - height - 26)))
    box = (left, top, left + width, top + height)
    inner = (left + 7, top + 7, left + width - 7, top + height - 7)
    choice = rng.random()
    if choice < 0.45:
        _rectangle(canvas, box, (246, 244, 238))
        pane = canvas.rgb[inner[1] : inner[3], inner[0] : inner[2]]
        pane[:] = _vertical((150, 194, 230), (218, 232, 238), pane.shape[0])
        middle = left + width // 2
        _rectangle(canvas, (middle - 3, top, middle + 3, top + height), (246, 244, 238))
        _rectangle(canvas, (left - 6, top + height, left + width + 6, top + height + 7), (232, 229, 222))
    elif choice < 0.85:
        canvas.rgb[top + 6 : top + height + 6, left + 5 : left + width + 5] *= 0.88
        _rectangle(canvas, box, (78, 58, 42))
        _rectangle(canvas, inner, _pick(rng, _WALLS))
        middle_x = left + width * float(rng.uniform(0.35, 0.65))
        hill = Stencil.ellipse(point(middle_x, top + height * 0.62), width * 0.26, height * 0.24)
        canvas.paint(hill, (float(rng.uniform(70, 190)), float(rng.uniform(90, 160)), float(rng.uniform(80, 170))))


def _floor(canvas: Canvas, rng: np.random.Generator, camera: Camera, first_row: int) -> None:
    x, z = camera.floor_points(first_row)
    style, colour = str(rng.choice(["planks", "tiles", "carpet"])), _pick(rng, _FLOORS, 8)
    noise = np.repeat(np.repeat(fractal_noise(rng, CANVAS_PX // 2, 10, 4), 2, 0), 2, 1)[first_row:]
    light = 0.94 + 0.12 * noise
    if style == "planks":
        board = np.floor(x / 0.22)
        light *= 0.92 + 0.16 * ((np.sin(board * 12.9898) * 43758.5) % 1)
        light *= np.where((x / 0.22) % 1 < 0.05, 0.8, 1)
    elif style == "tiles":
        light *= np.where(((x / 0.5) % 1 < 0.035) | ((z / 0.5) % 1 < 0.05), 0.84, 1)
    canvas.rgb[first_row:] = np.asarray(colour, np.float32) * light[..., None].astype(np.float32)


def _room(canvas: Canvas, rng: np.random.Generator, camera: Camera) -> Ground:
    wall_z = float(rng.uniform(1.3, 1.9))
    foot = camera.project(np.array([[0.0, 0.0, wall_z]]))[0]
    floor_row, wall = int(foot[1]), _pick(rng, _WALLS)
    canvas.rgb[:] = wall
    if rng.random() < 0.3:
        stripe = (np.arange(CANVAS_PX) // int(rng.integers(16, 30))) % 2
        canvas.rgb *= (1 - 0.05 * stripe.astype(np.float32))[None, :, None]
    _wall_things(canvas, rng, floor_row)
    _floor(canvas, rng, camera, floor_row)
    _rectangle(canvas, (0, floor_row - 12, CANVAS_PX, floor_row), darker(wall, 1.1))
    _rectangle(canvas, (0, floor_row - 1, CANVAS_PX, floor_row + 2), darker(wall, 0.6))
    slant = np.linspace(float(rng.uniform(0.84, 1.0)), float(rng.uniform(0.84, 1.0)), CANVAS_PX, dtype=np.float32)
    canvas.rgb *= slant[None, :, None] * 1.02
    np.clip(canvas.rgb, 0, 255, out=canvas.rgb)
    ground = camera.ground()
    canvas.depth[:floor_row] = DEPTH_PER_INVERSE_METRE / foot[2]
    _floor_depth(canvas, ground, floor_row)
    return ground


def _studio(canvas: Canvas, rng: np.random.Generator, horizon: int) -> Ground:
    paper = _pick(rng, _STUDIOS)
    foot = horizon + 120
    canvas.rgb[:foot] = _vertical(darker(paper, 0.84), darker(paper, 1.08), foot)
    canvas.rgb[foot:] = _vertical(darker(paper, 1.08), darker(paper, 0.88), CANVAS_PX - foot)
    y, x = np.mgrid[:CANVAS_PX, :CANVAS_PX].astype(np.float32)
    glow = np.exp(-(((x - CANVAS_PX * 0.5) / 250) ** 2) - ((y - CANVAS_PX * 0.42) / 250) ** 2)
    canvas.rgb *= (0.93 + 0.12 * glow)[..., None]
    np.clip(canvas.rgb, 0, 255, out=canvas.rgb)
    canvas.depth[:] = 60
    gain = 190 / (CANVAS_PX - foot + 60)
    ground = Ground(horizon_px=foot - 60 / gain, gain_per_px=gain)
    _floor_depth(canvas, ground, foot)
    return ground
