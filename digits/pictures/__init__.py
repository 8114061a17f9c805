"""Pictures: photographs and drawings, framed as MNIST frames its digits."""
