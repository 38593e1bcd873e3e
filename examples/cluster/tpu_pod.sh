#!/usr/bin/env bash
# Train on all hosts of a TPU pod slice, with the repository and its packages in ~/xumx_jax of each:
#
#     TPU=my-slice ZONE=us-east5-b examples/cluster/tpu_pod.sh \
#         --config configs/xumx.py --config.data.name=records --config.data.root=gs://bucket/records \
#         --config.train.store=gs://bucket/runs/xumx --workdir=/tmp/xumx
#
# A slice has all of its hosts or none, so that a start with fewer is one on another, smaller slice:
# it takes the checkpoints from the store. Here the same slice is tried again, RESTARTS times.
set -uo pipefail
: "${TPU:?is the name of the slice}" "${ZONE:?is where it is}"

command="cd xumx_jax && exec python3 train.py --distributed$(printf ' %q' "$@")"
for ((again = 0; again <= ${RESTARTS:-8}; again++)); do
    gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all --command="$command"
    status=$?
    # done, or stopped as asked; or an error of a config or a file, which would come again
    ((status == 0 || status == 2)) && exit "$status"
    # what is still running on other hosts ends, since it lost one: see train.heartbeat_seconds
    sleep "${PAUSE:-60}"
done
exit "$status"
