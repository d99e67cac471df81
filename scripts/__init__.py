"""Small programs for people who work on TuneDeck; `make help` lists the commands that use them."""
