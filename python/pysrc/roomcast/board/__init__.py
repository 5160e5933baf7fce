"""The demonstration that `python -m roomcast` serves: shared boards, in Python.

A line from a page comes in at `host`, is read by `lines` and done by `boards`, which publish
what happened; `meter` adds the engine's figures twice a second. `crowd` is a process of its own:
synthetic users, who know nothing of the host but its address. `page` is what the browser loads.
"""
