"""From PyTorch's tensors to arrays that lie as ours do, for several name maps."""

import numpy as np


def stacked(*parts: np.ndarray) -> np.ndarray:
    """Arrays of one shape -> [number, ...]."""
    return np.stack(parts)


def stacked_turned(*weights: np.ndarray) -> np.ndarray:
    """[output, input] each -> [number, input, output]."""
    return np.stack([weight.T for weight in weights])


def joined(*parts: np.ndarray) -> np.ndarray:
    """Vectors, one after another."""
    return np.concatenate(parts)


def joined_turned(*weights: np.ndarray) -> np.ndarray:
    """[output, input] each -> [input of all, output]."""
    return np.concatenate([weight.T for weight in weights])


def plane(weight: np.ndarray) -> np.ndarray:
    """[output, input, row tap, column tap] -> [row tap, column tap, input, output], or one tap."""
    turned = weight.transpose(2, 3, 1, 0)
    return turned[0] if turned.shape[:2] == (1, 1) else turned


def cells(weight: np.ndarray) -> np.ndarray:
    """[output, input, row, column] -> [row * column * input, output], for `layers.cells.down`."""
    return weight.transpose(2, 3, 1, 0).reshape(-1, len(weight))


def spread(weight: np.ndarray) -> np.ndarray:
    """[input, output, row, column] -> [input, row * column * output], for `layers.cells.up`."""
    return weight.transpose(0, 2, 3, 1).reshape(len(weight), -1)
