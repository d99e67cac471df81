"""The parts of ``ask_documents``: what it keeps in its folder, and the questions to the model."""
