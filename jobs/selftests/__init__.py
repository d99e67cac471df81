"""What proves that an engine's environment works: the real thing, small, on the model that ships with TuneDeck.

One module per engine, named as the engine, with ``def run(test: Test) -> None``; see testing.py. It runs in the panel's own
environment and starts programs in the engine's. Nothing of a self-test leaves its folder. An engine without such a module
is only imported.
"""
