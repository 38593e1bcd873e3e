"""The engine for Open-Unmix and X-UMX only: whole tracks in stages, and live separation.

offline, kernels   a stream of any length in stages, with flat memory
live, live_steps   a signal that is separated while it arrives

Other models run on `separation.chunked`. The networks themselves are in `models.umx`.
"""
