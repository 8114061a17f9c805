"""The network: its arithmetic, its training and its answers."""
