"""Making environments: whose turn it is, pip as a process, fetching, building, proving."""
