"""What files say about pixels, in one vocabulary: channels and units."""
