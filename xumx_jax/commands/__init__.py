"""The commands of `xumx`, and what they share; `xumx_jax.cli` puts them together.

separate, batch/     split any number of tracks
catalogue/           split a catalogue, as one of many machines or on a cluster
ray_connection       joining a Ray cluster
ray_pool             many items through workers on a Ray cluster
serve, web           separate what comes over HTTP, and in the browser; the server is xumx_jax.web
models               list or download published models
export               write a model as StableHLO
plot                 draw spectrograms
doctor, machine      check this machine
recipes              `xumx train` and `xumx evaluate`
options              options that several commands share
console              the terminal: printed lines, exit statuses, Ctrl-C

Commands only read options and print: the work is done in the other packages.
"""
