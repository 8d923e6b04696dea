"""What a model can be used for: restoration, compression, finding what is unusual."""
