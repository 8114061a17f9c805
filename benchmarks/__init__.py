"""The same work on what a user would pick instead, and how far from the machine's limit ours is."""
