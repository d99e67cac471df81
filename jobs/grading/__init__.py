"""What a report card is measured with: the same rows and questions for all, one model in memory at a time, and a server for its speed."""
