"""Measures what Python costs a host of roomcast: a module per row, run by `benches/python/run`."""
