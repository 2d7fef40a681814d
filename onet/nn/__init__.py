"""Network parts: layers, encoders and decoders, the latter two registered by name."""
