"""Small convolutional blocks that the ONNX networks are made of."""

from torch import Tensor, nn


class Block(nn.Module):
    """Convolution, batch norm, SiLU; with ``residual`` the input is added."""

    def __init__(self, into: int, out: int, *, stride: int = 1, kernel: int = 3, residual: bool = False) -> None:
        """Builds the block."""
        super().__init__()
        self.convolution = nn.Conv2d(into, out, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(out)
        self.activation = nn.SiLU()
        self.residual = residual

    def forward(self, planes: Tensor) -> Tensor:
        """Returns the features."""
        features: Tensor = self.activation(self.norm(self.convolution(planes)))
        return planes + features if self.residual else features


def stage(into: int, out: int, depth: int = 1) -> nn.Sequential:
    """Returns a block that halves the sides and residual blocks after it."""
    return nn.Sequential(Block(into, out, stride=2), *(Block(out, out, residual=True) for _ in range(depth)))
