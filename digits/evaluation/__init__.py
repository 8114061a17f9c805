"""Evaluation: numbers from answers and labels; arrays in, numbers out, and no files."""
