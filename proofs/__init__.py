"""What the project promises, put to the proof: the same bytes, nothing lost, nothing believed."""
