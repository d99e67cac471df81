"""Full-text search in what a person has: rows of datasets and passages of documents, without a service of its own.

terms      a text and a question as words, Chinese included
index      the file in which the words of many texts are found; SQLite's FTS5
keeping    where indexes lie, one process at a time, and which are removed for their room
rows       search in a version of a dataset
documents  search in documents and in texts that were sent in chats
"""
