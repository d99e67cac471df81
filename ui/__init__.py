"""The frame of the panel and what several pages share. May import streamlit and backend, never torch."""
