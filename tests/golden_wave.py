"""How outputs of models of waveforms are compared with recorded ones."""

import numpy as np
from golden_torch import arrays, meta

FACTOR, FLOOR = 10, 1e-6  # of the oracle's own rounding, of its largest value


def close(path, name: str, ours):
    """Compare with `out/<name>`, absolutely."""
    wanted = arrays(path)[f"out/{name}"]
    rounding = meta(path)["f32_vs_f64"][name]["max_abs"]
    assert np.shape(ours) == wanted.shape, name
    tolerance = max(FACTOR * rounding, FLOOR * np.abs(wanted).max())
    np.testing.assert_allclose(ours, wanted, rtol=0, atol=tolerance, err_msg=name)
