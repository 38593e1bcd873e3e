"""Which stems are changed, in which way, and that the others are not even computed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xumx_jax.augment import selection

pytestmark = pytest.mark.usefixtures("quick_compile")


def test_each_way_is_drawn_as_often():
    keys = jax.random.split(jax.random.key(0), 2000)
    ways = np.asarray(jax.vmap(lambda key: selection.draw(key, 4, 0.3, 3))(keys))
    shares = [np.mean(ways == way) for way in (-1, 0, 1, 2)]
    np.testing.assert_allclose(shares, [0.7, 0.1, 0.1, 0.1], atol=0.02)
    # each stem for itself: two of an example are both chosen as often as independence has it
    assert abs(np.mean((ways[:, 0] >= 0) & (ways[:, 1] >= 0)) - 0.09) < 0.02


@pytest.mark.parametrize("probability, ways, wanted", [(1.5, 1, "0 to 1"), (0.5, 0, "one value")])
def test_no_choice_is_refused(probability, ways, wanted):
    with pytest.raises(ValueError, match=wanted):
        selection.draw(jax.random.key(0), 4, probability, ways)


def test_only_the_chosen_are_computed_and_all_fit():
    """Stems 0 to 4 in the ways: not, shorter, longer, not, shorter."""
    seen = []
    note = [lambda wave: seen.append(float(wave[0, 0]))]

    def shorter(wave):
        jax.debug.callback(note[0], wave)
        return 2 * wave[:, :-2]

    def longer(wave):
        jax.debug.callback(note[0], wave)
        return jnp.pad(wave, ((0, 0), (1, 3)))

    stems = np.arange(5.0, dtype=np.float32)[:, None, None] + np.zeros((5, 2, 4), np.float32)
    change = selection.one_of([shorter, longer])
    ways = np.array([-1, 0, 1, -1, 0])
    found = np.asarray(jax.jit(lambda *both: selection.changed(*both, change))(stems, ways))
    jax.effects_barrier()
    assert sorted(seen) == [1, 2, 4]
    for stem, wanted in enumerate(([0] * 4, [2, 2, 0, 0], [0, 2, 2, 2], [3] * 4, [8, 8, 0, 0])):
        np.testing.assert_array_equal(found[stem], [wanted, wanted])
