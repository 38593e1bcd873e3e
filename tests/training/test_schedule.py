"""When the rate falls and when training ends, against the recorded decisions of the reference."""

import math

import numpy as np
import pytest
from golden_files import golden

from xumx_jax.errors import UserError
from xumx_jax.training.schedule import Plateau, early_stopping, out_of_patience


@pytest.mark.slow
@golden("nnabla/unit_schedule.npz")
def test_decides_as_recorded(path):
    recorded = np.load(path)
    rule = Plateau(int(recorded["patience"]), float(recorded["factor"]), int(recorded["cooldown"]))
    plateau, early = rule.init(), early_stopping(int(recorded["es_patience"]))
    rates, ends = [], []
    for value in recorded["val_loss"]:
        plateau = rule.update(plateau, value)
        early = early.update(float(value))
        rates.append(recorded["lr0"] * plateau.scale)
        ends.append(out_of_patience(early) or math.isnan(value))
    np.testing.assert_allclose(rates, recorded["lr"], rtol=1e-6)
    np.testing.assert_array_equal(ends, recorded["early_stop"])


def test_goes_on_counting_where_it_was():
    whole = early_stopping(3)
    for value in (2.0, 1.0, 1.0, 1.5):
        whole = whole.update(value)
    parted = early_stopping(3, whole.best_metric, whole.patience_count)
    assert not out_of_patience(parted)
    assert out_of_patience(parted.update(1.2)) and not out_of_patience(parted.update(0.9))


def test_no_patience_never_lowers_the_rate():
    rule = Plateau(None, 0.3, 10)
    state = rule.init()
    for _ in range(50):
        state = rule.update(state, 1.0)
    assert state.scale == 1


def test_a_factor_that_lowers_nothing_is_refused():
    with pytest.raises(UserError, match="factor is 1.0"):
        Plateau(3, 1.0, 0)
