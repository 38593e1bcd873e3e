"""Other ways to run an LSTM layer, for the ablation of `make bench-train ARGS="--device gpu"`.

    python bench/lstm_paths.py

All have the signature of `xumx_jax.layers.lstm.lstm` with one leading axis, the source. Run alone,
compares them with it on this machine; cuDNN itself needs a GPU, elsewhere its reference runs.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import rnn

from xumx_jax.layers.dense import contract
from xumx_jax.layers.lstm import lstm


def scanned(x, w_ih, w_hh, bias, dtype="float32"):
    """`lax.scan`, differentiated by JAX; one batched product a step for all sources and turns."""
    both = jnp.stack([x, x[:, ::-1]], axis=1)[:, : w_ih.shape[1]]
    z = contract("sdtbi,sdig->tsdbg", both, w_ih, dtype) + bias[:, :, None]
    zero = jnp.zeros_like(z[0, ..., : w_hh.shape[2]])

    def step(carry, z_t):
        h, c = carry
        i, f, g, o = jnp.split(z_t + contract("sdbh,sdhg->sdbg", h, w_hh, dtype), 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    h = lax.scan(step, (zero, zero), z)[1]  # [frame, source, direction, batch, hidden]
    turned = [h[:, :, 0], h[::-1, :, 1]] if h.shape[2] == 2 else [h[:, :, 0]]
    return jnp.concatenate(turned, axis=-1).swapaxes(0, 1)


def packed(w_ih, w_hh, bias):
    """One source's weights in cuDNN's layout: [gate * hidden, input] each turn, then the biases."""
    weights, biases = [], []
    for turn in range(len(w_ih)):
        weights += [w_ih[turn].T.ravel(), w_hh[turn].T.ravel()]
        biases += [bias[turn], jnp.zeros_like(bias[turn])]
    return jnp.concatenate(weights + biases)


def cudnn(x, w_ih, w_hh, bias, dtype="float32"):
    """`jax.experimental.rnn`: cuDNN's layer, one source after the other, without bfloat16."""
    if dtype != "float32":
        raise SystemExit("cuDNN's LSTM in JAX has no bfloat16")
    directions, features, hidden = w_ih.shape[1], w_ih.shape[2], w_hh.shape[2]
    lengths = jnp.full(x.shape[2], x.shape[1], jnp.int32)
    # made from x, so that inside shard_map it counts as this device's own
    zero = jnp.zeros((directions, x.shape[2], hidden)) + jnp.zeros_like(x[0, 0, 0, 0])
    size = features, hidden, 1, 0.0, directions == 2
    outputs = []
    for source in range(len(x)):
        weights = packed(w_ih[source], w_hh[source], bias[source])
        rows = x[source].swapaxes(0, 1)  # [batch, frame, feature]
        if jax.default_backend() == "gpu":
            y = rnn.lstm(rows, zero, zero, weights, lengths, *size, lax.Precision.HIGHEST)[0]
        else:
            apart = rnn.unpack_lstm_weights(weights, *size[:3], size[4])
            y = rnn.lstm_ref(rows, zero, zero, *apart, lengths, *size)[0]
        outputs.append(y.swapaxes(0, 1))
    return jnp.stack(outputs)


PATHS = {"loop": lstm, "scan": scanned, "cudnn": cudnn}


def main() -> None:
    draw = np.random.default_rng(0)
    shapes = (2, 9, 3, 5), (2, 2, 5, 16), (2, 2, 4, 16), (2, 2, 16)
    arguments = [draw.normal(size=shape).astype(np.float32) for shape in shapes]

    def run(path):
        def score(*a):
            y = path(*a)
            return (y * jnp.arange(y.shape[-1])).sum(), y

        return jax.jit(jax.value_and_grad(score, argnums=(0, 1, 2, 3), has_aux=True))(*arguments)

    wanted = jax.tree.leaves(run(lstm))
    for name, path in PATHS.items():
        pairs = zip(jax.tree.leaves(run(path)), wanted, strict=True)
        worst = max(float(jnp.abs(a - b).max() / jnp.abs(b).max()) for a, b in pairs)
        print(f"{name}: values and gradients within {worst:.1e} of ours")
        if not worst < 1e-4:
            raise SystemExit(f"{name} differs")


if __name__ == "__main__":
    main()
