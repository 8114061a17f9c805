"""Measurements over many trainings, outside the pipeline."""
