"""What an output says of its making: the record, and the fingerprint of its source."""
