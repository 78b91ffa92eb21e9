"""relmask: pixel masks from image-level labels. Names load on first use, so that importing it costs nothing."""
