"""Questions and answers from documents: read a file, cut it into chunks, have a running model ask about each, check what it says."""

from backend.data.documents.chunking import chunks
from backend.data.documents.document import Block, Chunk, Document
from backend.data.documents.reading import TYPES, gather, read, read_bytes

__all__ = ["TYPES", "Block", "Chunk", "Document", "chunks", "gather", "read", "read_bytes"]
