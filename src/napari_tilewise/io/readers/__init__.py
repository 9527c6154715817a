"""Readers: every format becomes a lazy image; no pixel is read when it is opened."""
