#!/usr/bin/env bash
# Train with several processes on this machine; when one is lost, those that are left go on:
#
#     PROCESSES=8 examples/cluster/local.sh --config configs/xumx.py --config.data.root=MUSDB18-HQ
#
# On a machine with GPUs, each process gets one. RESTARTS=N is how often to start again.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec "${PYTHON:-python}" -m xumx_jax.training.launch \
    --processes "${PROCESSES:-2}" --restarts "${RESTARTS:-8}" train.py "$@"
