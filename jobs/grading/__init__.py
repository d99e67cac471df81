"""What a report card measures."""
