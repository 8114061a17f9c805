"""Data: images and labels in the forms that people have, to normalised tensors."""
