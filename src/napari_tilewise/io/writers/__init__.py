"""Writers: output appears complete or not at all, whatever its format."""
