"""Jobs that outlive everything: rows in SQLite, a folder each, a supervisor each, one watcher that dispatches."""
