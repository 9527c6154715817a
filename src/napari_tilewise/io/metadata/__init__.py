"""What files say about pixels, in one vocabulary: channels, units, and images to write."""
