"""Page Evaluate: the form with its plan, what runs, results, comparisons and question sets."""
