"""Memory that is used again, but never while somebody can see it."""

import gc
import threading

import jax.numpy as jnp
import numpy as np

from pipelines.batch_memory import Recycler


def address(array):
    return array.ctypes.data


def test_what_nobody_holds_is_used_again():
    recycler = Recycler()
    one = recycler.empty((3, 5), np.int16)
    assert one.shape == (3, 5) and one.dtype == np.int16 and address(one) % 64 == 0
    where = address(one)
    del one
    gc.collect()
    assert address(recycler.empty((3, 5), np.int16)) == where


def test_any_view_keeps_its_memory():
    recycler = Recycler()
    held = [recycler.empty((4, 4), np.float32)[1:, ::2].T for _ in range(3)]
    for number, view in enumerate(held):
        view[:] = number
    new = recycler.empty((4, 4), np.float32)
    new[:] = 9
    assert [float(view.min()) for view in held] == [0, 1, 2]
    assert [float(view.max()) for view in held] == [0, 1, 2]


def test_a_device_array_keeps_what_it_was_made_of():
    recycler = Recycler()
    block = recycler.empty((1000, 1000), np.float32)
    block[:] = 1
    device = jnp.asarray(block)
    del block
    gc.collect()
    recycler.empty((1000, 1000), np.float32)[:] = 2
    assert float(device.min()) == float(device.max()) == 1


def test_another_size_drops_the_old_blocks_and_nothing_is_an_array_too():
    recycler = Recycler()
    old = recycler.empty((10,), np.int16)
    assert recycler.empty((20,), np.int16).shape == (20,)
    old[:] = 7
    del old
    assert recycler.empty((0, 3), np.int16).shape == (0, 3)
    assert recycler.empty((10,), np.int16).shape == (10,)


def test_threads_never_share_a_block():
    recycler, wrong = Recycler(), []

    def work(number):
        for turn in range(300):
            block = recycler.empty((64 + turn % 2,), np.int64)
            block[:] = number
            if not (block == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
