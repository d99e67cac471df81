"""What a benchmark consists of: servers that are put up and taken down, and the load on them."""
