"""How an output was made: the record, and the fingerprint of its source."""
