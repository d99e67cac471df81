"""What ended since a person was here last, what each of it means in a sentence, and what was read of it."""
