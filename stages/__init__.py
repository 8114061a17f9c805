"""The pipeline's stages, in the order of the flow; dvc.yaml says what each reads and writes."""
