"""The guided course: lessons as steps on the real pages, what the workspace shows of each, and how far a person has come."""
