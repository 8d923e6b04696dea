"""The pinned classifier whose features measure samples."""
