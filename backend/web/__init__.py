"""The way in: token gate, API keys and the ``/v1`` gateway. Pure ASGI, no streamlit."""
