"""Everything of TuneDeck that can be tested without a browser; imports neither streamlit nor torch."""
