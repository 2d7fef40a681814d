"""Network parts: layers, and encoders, latent encoders and decoders, registered by name."""
