"""Tables of plain rows."""
