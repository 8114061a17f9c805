"""Recognising digits: the library that the pipeline's stages call."""
