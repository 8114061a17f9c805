"""What works on the repository: its results proved, compared, mended and shared."""
